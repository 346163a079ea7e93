//! One hash of a password.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier as _};

/// The highest cost of bcrypt that is accepted. It takes some seconds, and each step doubles that.
const MAX_COST: u32 = 16;

/// A hash that was checked when it was read.
pub(super) enum Hash {
    Bcrypt(Box<str>),
    Argon2(Box<str>),
}

/// Why a text is not a usable hash. The message never has the text, which may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HashFault {
    Md5,
    Sha1,
    Crypt,
    Bcrypt,
    Cost(u32),
    Argon2(String),
    Unknown,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, HashFault> {
        match text.split('$').nth(1).filter(|_| text.starts_with('$')) {
            Some("2y" | "2b" | "2a") => parse_bcrypt(text),
            Some("argon2id" | "argon2i" | "argon2d") => parse_argon2(text),
            Some("apr1" | "1") => Err(HashFault::Md5),
            Some("5" | "6" | "sha1" | "y" | "7") => Err(HashFault::Crypt),
            None if text.starts_with("{SHA}") => Err(HashFault::Sha1),
            _ => Err(HashFault::Unknown),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2(text) => text,
        }
    }

    /// Whether this is the hash of the password. The comparison takes constant time.
    pub(super) fn verify(&self, password: &str) -> bool {
        match self {
            // bcrypt repeats a password with a NUL behind it, so `a` would equal `a\0a`.
            Self::Bcrypt(text) => {
                bcrypt::verify(password, text).unwrap_or(false) && !password.contains('\0')
            }
            Self::Argon2(text) => PasswordHash::new(text).is_ok_and(|hash| {
                let argon2 = Argon2::default();
                argon2.verify_password(password.as_bytes(), &hash).is_ok()
            }),
        }
    }
}

fn parse_bcrypt(text: &str) -> Result<Hash, HashFault> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| HashFault::Bcrypt)?;
    match parts.get_cost() {
        4..=MAX_COST => Ok(Hash::Bcrypt(text.into())),
        cost if cost > MAX_COST => Err(HashFault::Cost(cost)),
        _ => Err(HashFault::Bcrypt),
    }
}

fn parse_argon2(text: &str) -> Result<Hash, HashFault> {
    let fault = |error: &dyn fmt::Display| HashFault::Argon2(error.to_string());
    let hash = PasswordHash::new(text).map_err(|error| fault(&error))?;
    Algorithm::try_from(hash.algorithm.as_str()).map_err(|error| fault(&error))?;
    Params::try_from(&hash).map_err(|error| fault(&error))?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(fault(&"the salt or the hash is missing"));
    }
    Ok(Hash::Argon2(text.into()))
}

impl fmt::Display for HashFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAKE: &str = "`htpasswd -nB NAME` makes a bcrypt hash";
        match self {
            Self::Md5 => write!(f, "MD5 is too weak for passwords; {MAKE}"),
            Self::Sha1 => write!(f, "SHA-1 is too weak for passwords; {MAKE}"),
            Self::Crypt => write!(f, "hashes of crypt are not supported; {MAKE}"),
            Self::Bcrypt => f.write_str("the bcrypt hash is incomplete or invalid"),
            Self::Cost(cost) => write!(
                f,
                "bcrypt with a cost of {cost} takes too long; at most {MAX_COST} is accepted"
            ),
            Self::Argon2(reason) => write!(f, "the Argon2 hash is invalid: {reason}"),
            Self::Unknown => write!(
                f,
                "after the name, a hash of bcrypt or Argon2 is expected; {MAKE}"
            ),
        }
    }
}

/// Hides the hash.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt(_) => "bcrypt",
            Self::Argon2(_) => "Argon2",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of `lovelace`.
    const BCRYPT: &str = "$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";

    pub(in super::super) fn bcrypt() -> Hash {
        Hash::parse(BCRYPT).expect("it is valid")
    }

    #[track_caller]
    fn check(text: &str, password: &str) {
        let hash = Hash::parse(text).expect("it is valid");
        assert!(hash.verify(password), "{text}");
        assert!(!hash.verify(&format!("{password} ")), "{text}");
        assert!(!hash.verify(""), "{text}");
        assert!(!hash.verify(&format!("{password}\0{password}")), "{text}");
    }

    /// Made by libxcrypt and by the reference implementation of Argon2.
    #[test]
    fn hashes_of_other_programs_are_verified() {
        check(BCRYPT, "lovelace");
        check(
            "$2b$05$abcdefghijklmnopqrstuuugyJgZetmHGvxwCJ1rpgM8bgT8KJ8.i",
            "lovelace",
        );
        check(
            "$2a$04$abcdefghijklmnopqrstuusbOCNW3VIzDW4ckvmlDBJU5.wgUnpPS",
            "grace",
        );
        check(
            "$2y$04$......................K3SI8R/dvJvMX9stoEmvSX5wWBuZLQ2",
            "mañana: ☕",
        );
        check(
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "password",
        );
    }

    #[test]
    fn bcrypt_uses_the_first_72_bytes() {
        let hash = "$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
        let hash = Hash::parse(hash).expect("it is valid");
        assert!(hash.verify(&"x".repeat(80)));
        assert!(hash.verify(&"x".repeat(72)));
        assert!(!hash.verify(&"x".repeat(71)));
    }

    #[test]
    fn other_hashes_are_refused() {
        for (text, expected) in [
            ("$apr1$x5yF$8QXX0B0hyxqqkJXJqSPiP.", HashFault::Md5),
            ("$1$x5yF$8QXX0B0hyxqqkJXJqSPiP.", HashFault::Md5),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", HashFault::Sha1),
            ("$6$abcdefgh$x", HashFault::Crypt),
            ("$y$j9T$abc$x", HashFault::Crypt),
            ("abcdefghijklm", HashFault::Unknown),
            ("lovelace", HashFault::Unknown),
            ("", HashFault::Unknown),
            ("$", HashFault::Unknown),
            ("$$", HashFault::Unknown),
            ("$2x$04$abc", HashFault::Unknown),
            ("$2y$", HashFault::Bcrypt),
            ("$2y$04$", HashFault::Bcrypt),
            (
                "$2y$17$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K",
                HashFault::Cost(17),
            ),
            (
                "$2y$03$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K",
                HashFault::Bcrypt,
            ),
        ] {
            assert_eq!(Hash::parse(text).err(), Some(expected), "{text}");
        }
        for length in 0..BCRYPT.len() {
            assert!(Hash::parse(&BCRYPT[..length]).is_err(), "{length}");
        }
        assert!(Hash::parse(&format!("{BCRYPT}x")).is_err());
        assert!(Hash::parse(&BCRYPT.replace('h', "%")).is_err());
    }

    #[test]
    fn incomplete_argon2_is_refused() {
        for text in [
            "$argon2id$",
            "$argon2id$v=19",
            "$argon2id$v=19$m=256,t=2,p=1",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=0,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=two,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR %",
        ] {
            let fault = Hash::parse(text).expect_err(text);
            assert!(matches!(fault, HashFault::Argon2(_)), "{text}: {fault}");
        }
    }

    #[test]
    fn debug_output_and_faults_hide_the_text() {
        assert_eq!(format!("{:?}", bcrypt()), "bcrypt");
        let fault = Hash::parse("lovelace").expect_err("it is no hash");
        assert!(!format!("{fault}{fault:?}").contains("lovelace"));
    }
}
