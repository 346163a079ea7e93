//! Keys that sign and encrypt the values of cookies.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Length of a nonce. It is long enough that random ones never repeat.
const NONCE: usize = 24;

/// A secret that signs and encrypts cookies, with older ones that are still accepted. It is cheap to
/// clone.
///
/// ```
/// use httpool::cookies::{Cookies, Key};
///
/// # let environment = "x3Jb1oW0mS7d2qk5TqX0yq1sF3u8Zt6RcV4nB9mE";
/// // As `openssl rand -base64 48` makes it, from a file or a variable that only the program can read.
/// let key = Key::new(environment)?;
/// let cookies = Cookies::default().set_signed(("user", "ada"), &key);
/// assert_eq!(cookies.get_signed("user", &key).as_deref(), Some("ada"));
/// assert_eq!(cookies.get_signed("user", &Key::generate()), None);
/// # Ok::<(), httpool::cookies::KeyError>(())
/// ```
///
/// # Rotation
///
/// To replace a key, make a new one and accept the old one as long as its cookies last. New cookies are
/// made with the new key.
///
/// ```
/// use httpool::cookies::{Cookies, Key};
///
/// let (old, new) = (Key::generate(), Key::generate());
/// let cookies = Cookies::default().set_private(("cart", "7"), &old);
/// let key = new.accept_old(&old);
/// assert_eq!(cookies.get_private("cart", &key).as_deref(), Some("7"));
/// ```
///
/// Signatures are HMAC with SHA-256 (RFC 2104), encryption is XChaCha20-Poly1305. Each of them uses a
/// key of its own, which is derived from the secret. A value is bound to the name of its cookie.
#[derive(Clone)]
pub struct Key(Arc<[Secrets]>);

/// The secret of a [`Key`] is too short.
///
/// ```
/// use httpool::cookies::Key;
///
/// let error = Key::new("password").expect_err("it can be guessed");
/// assert_eq!(error.to_string(), "the secret of a key needs 32 bytes, but has 8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyError {
    length: usize,
}

#[derive(Clone)]
struct Secrets {
    signing: [u8; 32],
    encryption: [u8; 32],
}

impl Key {
    /// Smallest length of a secret, in bytes.
    ///
    /// ```
    /// assert_eq!(httpool::cookies::Key::MIN_SECRET, 32);
    /// ```
    pub const MIN_SECRET: usize = 32;

    /// Creates a key from a secret: random bytes, or text made from such bytes.
    ///
    /// # Errors
    ///
    /// If the secret is shorter than [`MIN_SECRET`](Self::MIN_SECRET).
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        if secret.len() < Self::MIN_SECRET {
            return Err(KeyError {
                length: secret.len(),
            });
        }
        Ok(Self(Arc::new([Secrets::of(secret)])))
    }

    /// Creates a random key. Cookies made with it are invalid after a restart, and for other instances
    /// of the program.
    ///
    /// # Panics
    ///
    /// If the system has no random bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self(Arc::new([Secrets::of(&random::<32>())]))
    }

    /// Accepts the cookies of older keys, too.
    #[must_use]
    pub fn accept_old(&self, old: &Self) -> Self {
        Self(self.0.iter().chain(&*old.0).cloned().collect())
    }

    /// The value with a signature for this name.
    pub(in crate::web) fn sign(&self, name: &str, value: &str) -> String {
        let signature = self.0[0].mac(name, value).finalize().into_bytes();
        format!("{value}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The value, if its signature was made for this name, with one of the keys.
    pub(in crate::web) fn verify<'v>(&self, name: &str, signed: &'v str) -> Option<&'v str> {
        let (value, signature) = signed.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mut keys = self.0.iter();
        // The comparison takes constant time.
        let is_valid = keys.any(|key| key.mac(name, value).verify_slice(&signature).is_ok());
        is_valid.then_some(value)
    }

    /// The encrypted value, for this name.
    pub(in crate::web) fn encrypt(&self, name: &str, value: &str) -> String {
        let nonce = random::<NONCE>();
        let payload = Payload {
            msg: value.as_bytes(),
            aad: name.as_bytes(),
        };
        let encrypted = self.0[0].cipher().encrypt(&XNonce::from(nonce), payload);
        let encrypted = encrypted.expect("a value in memory is shorter than 256 GiB");
        URL_SAFE_NO_PAD.encode([&nonce[..], &encrypted].concat())
    }

    /// The value, if it was encrypted for this name, with one of the keys.
    pub(in crate::web) fn decrypt(&self, name: &str, encrypted: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(encrypted).ok()?;
        let (nonce, encrypted) = bytes.split_first_chunk::<NONCE>()?;
        let decrypt = |key: &Secrets| {
            let payload = Payload {
                msg: encrypted,
                aad: name.as_bytes(),
            };
            key.cipher().decrypt(&XNonce::from(*nonce), payload).ok()
        };
        String::from_utf8(self.0.iter().find_map(decrypt)?).ok()
    }
}

impl Secrets {
    fn of(secret: &[u8]) -> Self {
        let derive = |purpose: &str| hmac(secret).chain_update(purpose).finalize().into_bytes();
        Self {
            signing: derive("httpool: signatures of cookies").into(),
            encryption: derive("httpool: encryption of cookies").into(),
        }
    }

    /// The name has no NUL, so no other pair of name and value has the same bytes.
    fn mac(&self, name: &str, value: &str) -> Hmac<Sha256> {
        let mac = hmac(&self.signing);
        mac.chain_update(name).chain_update([0]).chain_update(value)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.encryption.into())
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key may have any length")
}

/// Random bytes that no client can guess.
pub(in crate::web) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, length) = (Key::MIN_SECRET, self.length);
        write!(
            f,
            "the secret of a key needs {needed} bytes, but has {length}"
        )
    }
}

impl Error for KeyError {}

/// Shows nothing of the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [&str; 5] = ["", "a", "a.b", "ü; \0\r\n", "."];

    #[test]
    fn valid_values_are_accepted() {
        let key = Key::generate();
        for value in VALUES {
            let signed = key.sign("name", value);
            assert_eq!(key.verify("name", &signed), Some(value));
            let encrypted = key.encrypt("name", value);
            assert_eq!(key.decrypt("name", &encrypted).as_deref(), Some(value));
            assert_ne!(encrypted, key.encrypt("name", value));
        }
        let long = "x".repeat(1 << 20);
        assert_eq!(key.verify("n", &key.sign("n", &long)), Some(&*long));
        assert_eq!(key.decrypt("n", &key.encrypt("n", &long)), Some(long));
    }

    #[test]
    fn changed_values_are_refused() {
        let key = Key::generate();
        let (signed, encrypted) = (key.sign("name", "value"), key.encrypt("name", "value"));
        for made in [&signed, &encrypted] {
            for index in 0..made.len() {
                for replacement in ["", "A", "-", ".", "=", "\u{e9}"] {
                    let mut changed = made.clone();
                    changed.replace_range(index..=index, replacement);
                    if changed == *made {
                        continue;
                    }
                    assert_eq!(key.verify("name", &changed), None, "{changed}");
                    assert_eq!(key.decrypt("name", &changed), None, "{changed}");
                }
                assert_eq!(key.verify("name", &made[..index]), None);
                assert_eq!(key.decrypt("name", &made[..index]), None);
            }
        }
        for value in VALUES {
            assert_eq!(key.verify("name", value), None);
            assert_eq!(key.decrypt("name", value), None);
        }
    }

    #[test]
    fn values_belong_to_their_cookie_and_kind() {
        let key = Key::generate();
        let (signed, encrypted) = (key.sign("name", "value"), key.encrypt("name", "value"));
        for name in ["", "nam", "Name", "name2", "namev"] {
            assert_eq!(key.verify(name, &signed), None);
            assert_eq!(key.decrypt(name, &encrypted), None);
        }
        assert_eq!(key.decrypt("name", &signed), None);
        assert_eq!(key.verify("name", &encrypted), None);
    }

    #[test]
    fn old_keys_are_accepted_but_not_used() {
        let [first, second, third] = [Key::generate(), Key::generate(), Key::generate()];
        let rotated = third.accept_old(&second.accept_old(&first));
        for old in [&first, &second, &third] {
            assert_eq!(rotated.verify("n", &old.sign("n", "v")), Some("v"));
            let value = rotated.decrypt("n", &old.encrypt("n", "v"));
            assert_eq!(value.as_deref(), Some("v"));
        }
        assert_eq!(third.verify("n", &rotated.sign("n", "v")), Some("v"));
        assert_eq!(first.verify("n", &rotated.sign("n", "v")), None);
        assert_eq!(first.decrypt("n", &rotated.encrypt("n", "v")), None);
        assert_eq!(rotated.verify("n", &Key::generate().sign("n", "v")), None);
    }

    #[test]
    fn equal_secrets_are_equal_keys() {
        let secret = [7; 32];
        let [one, other] = [(); 2].map(|()| Key::new(secret).expect("it is long enough"));
        assert_eq!(other.verify("n", &one.sign("n", "v")), Some("v"));
        assert_eq!(Key::new([7; 31]).map(drop), Err(KeyError { length: 31 }));
        assert!(!format!("{one:?}").contains('7'));
    }
}
