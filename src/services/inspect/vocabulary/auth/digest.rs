//! Digest authentication (RFC 7616).

mod challenge_cookie;
mod credentials;

use http::StatusCode;
use http::header::SET_COOKIE;
use md5::Md5;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512, Sha512_256};

use self::challenge_cookie::{COOKIE_OF_CHALLENGE, Cookie};
use self::credentials::Credentials;
use super::nonce::{self, Nonce};
use super::{REALM, authenticated, unauthorized};
use crate::message::{Problem, Response};
use crate::services::inspect::captured::Captured;
use crate::services::inspect::live::is_cross_site;
use crate::services::inspect::reflection::hexadecimal;
use crate::services::inspect::vocabulary::input::bad;
use crate::services::inspect::vocabulary::table::Table;
use crate::web::extract::Path;

pub(super) fn add(table: Table) -> Table {
    table
        .any(
            "/digest-auth/{qop}/{user}/{password}",
            "wants these by Digest with MD5; qop is auth or auth-int",
            with_md5,
        )
        .any(
            "/digest-auth/{qop}/{user}/{password}/{algorithm}",
            "the same with MD5, SHA-256, SHA-512 or SHA-512-256, or one of these with -sess",
            with_algorithm,
        )
        .any(
            "/digest-auth/{qop}/{user}/{password}/{algorithm}/{uses}",
            "the same with nonces that are stale after some uses",
            with_uses,
        )
}

fn with_md5(Path(parts): Path<[String; 3]>, captured: Captured) -> Result<Response, Problem> {
    let [qop, user, password] = parts;
    Wanted::new(&qop, user, password, "MD5", "never")?.respond(&captured)
}

fn with_algorithm(Path(parts): Path<[String; 4]>, captured: Captured) -> Result<Response, Problem> {
    let [qop, user, password, algorithm] = parts;
    Wanted::new(&qop, user, password, &algorithm, "never")?.respond(&captured)
}

fn with_uses(Path(parts): Path<[String; 5]>, captured: Captured) -> Result<Response, Problem> {
    let [qop, user, password, algorithm, uses] = parts;
    Wanted::new(&qop, user, password, &algorithm, &uses)?.respond(&captured)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quality {
    Auth,
    /// The body counts, too.
    AuthInt,
}

impl Quality {
    fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// A hash function by its name, and whether its key is of one session.
#[derive(Debug, Clone, Copy)]
struct Algorithm {
    name: &'static str,
    hash: fn(&[u8]) -> String,
    is_session: bool,
}

const ALGORITHMS: [Algorithm; 8] = [
    Algorithm {
        name: "MD5",
        hash: hash::<Md5>,
        is_session: false,
    },
    Algorithm {
        name: "MD5-sess",
        hash: hash::<Md5>,
        is_session: true,
    },
    Algorithm {
        name: "SHA-256",
        hash: hash::<Sha256>,
        is_session: false,
    },
    Algorithm {
        name: "SHA-256-sess",
        hash: hash::<Sha256>,
        is_session: true,
    },
    Algorithm {
        name: "SHA-512",
        hash: hash::<Sha512>,
        is_session: false,
    },
    Algorithm {
        name: "SHA-512-sess",
        hash: hash::<Sha512>,
        is_session: true,
    },
    Algorithm {
        name: "SHA-512-256",
        hash: hash::<Sha512_256>,
        is_session: false,
    },
    Algorithm {
        name: "SHA-512-256-sess",
        hash: hash::<Sha512_256>,
        is_session: true,
    },
];

fn hash<D: Digest>(content: &[u8]) -> String {
    hexadecimal(&D::digest(content))
}

/// The credentials that a path wants.
struct Wanted {
    quality: Quality,
    user: String,
    password: String,
    algorithm: Algorithm,
    /// How often a nonce may be used.
    uses: u32,
}

/// The result of a check of credentials.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Stale,
    Wrong,
}

impl Wanted {
    fn new(
        qop: &str,
        user: String,
        password: String,
        algorithm: &str,
        uses: &str,
    ) -> Result<Self, Problem> {
        let qualities = [Quality::Auth, Quality::AuthInt];
        let quality = qualities
            .into_iter()
            .find(|is| is.name().eq_ignore_ascii_case(qop));
        let known = ALGORITHMS
            .into_iter()
            .find(|is| is.name.eq_ignore_ascii_case(algorithm));
        let uses = match uses {
            "never" => Some(u32::MAX),
            uses => uses.parse().ok().filter(|uses| *uses > 0),
        };
        let is_text = |text: &str| !text.contains(|character: char| character.is_control());
        if !is_text(&user) || user.contains(':') || !is_text(&password) {
            return Err(bad(
                "a name has no colon, and neither has control characters",
            ));
        }
        Ok(Self {
            quality: quality.ok_or_else(|| bad(format!("{qop:?} is neither auth nor auth-int")))?,
            algorithm: known.ok_or_else(|| bad(format!("{algorithm:?} is not supported")))?,
            uses: uses.ok_or_else(|| bad("the uses of a nonce are a number from 1, or never"))?,
            user,
            password,
        })
    }

    /// The response with httpbin's cookie, by which tests see that a client keeps those of a challenge.
    fn respond(&self, captured: &Captured) -> Result<Response, Problem> {
        let mut response = match Cookie::of(captured) {
            Cookie::Unwanted | Cookie::Sent => self.result(captured)?,
            Cookie::NoneSent => self.challenge(""),
            Cookie::OthersSent => {
                return Err(Problem::new(StatusCode::FORBIDDEN)
                    .detail("the cookie of the challenge is missing"));
            }
        };
        // A page of another site may not set cookies here.
        if !is_cross_site(&captured.headers()) {
            response
                .headers_mut()
                .append(SET_COOKIE, COOKIE_OF_CHALLENGE);
        }
        Ok(response)
    }

    fn result(&self, captured: &Captured) -> Result<Response, Problem> {
        let stale = match self.check(captured)? {
            Verdict::Valid => return Ok(authenticated(&self.user)),
            Verdict::Stale => ", stale=true",
            Verdict::Wrong => "",
        };
        Ok(self.challenge(stale))
    }

    fn challenge(&self, stale: &str) -> Response {
        unauthorized(&format!(
            "Digest realm=\"{REALM}\", nonce=\"{}\", qop=\"{}\", algorithm={}, charset=UTF-8{stale}",
            nonce::new(),
            self.quality.name(),
            self.algorithm.name,
        ))
    }

    fn check(&self, captured: &Captured) -> Result<Verdict, Problem> {
        let Some(given) = Credentials::of(&captured.headers()) else {
            return Ok(Verdict::Wrong);
        };
        let get = |name| given.get(name).unwrap_or_default();
        let algorithm = given.get("algorithm").unwrap_or("MD5");
        let is_wanted = get("username") == self.user
            && get("realm") == REALM
            && get("qop") == self.quality.name()
            && algorithm.eq_ignore_ascii_case(self.algorithm.name)
            && get("nc").len() == 8;
        let uses = u32::from_str_radix(get("nc"), 16).unwrap_or_default();
        if !is_wanted || uses == 0 || get("cnonce").is_empty() {
            return Ok(Verdict::Wrong);
        }
        // Section 3.4.6 wants a 400 for credentials of another target.
        if get("uri") != captured.target() && get("uri") != captured.path_and_query() {
            return Err(bad("uri in Authorization is not the target of the request"));
        }
        if !get("response").eq_ignore_ascii_case(&self.response(&given, captured)) {
            return Ok(Verdict::Wrong);
        }
        Ok(match nonce::check(get("nonce"), uses) {
            Nonce::Fresh if uses <= self.uses => Verdict::Valid,
            // The nonce may be one of this server before it was restarted.
            Nonce::Fresh | Nonce::Stale | Nonce::Foreign => Verdict::Stale,
        })
    }

    /// The response to the challenge (section 3.4.1).
    fn response(&self, given: &Credentials, captured: &Captured) -> String {
        let hash = |text: &str| (self.algorithm.hash)(text.as_bytes());
        let get = |name| given.get(name).unwrap_or_default();
        let (nonce, cnonce) = (get("nonce"), get("cnonce"));
        let mut secret = hash(&format!("{}:{REALM}:{}", self.user, self.password));
        if self.algorithm.is_session {
            secret = hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let mut request = format!("{}:{}", captured.method(), get("uri"));
        if self.quality == Quality::AuthInt {
            request.push(':');
            request.push_str(&(self.algorithm.hash)(&captured.body));
        }
        let (count, qop) = (get("nc"), self.quality.name());
        hash(&format!(
            "{secret}:{nonce}:{count}:{cnonce}:{qop}:{}",
            hash(&request)
        ))
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;
    use crate::services::inspect::vocabulary::tests::{client, expect_bad, member};
    use crate::testing::TestResponse;

    const PATH: &str = "/digest-auth/auth/ada/secret";

    fn challenge(response: &TestResponse, name: &str) -> String {
        let header = response
            .header("www-authenticate")
            .expect("it is a challenge");
        let headers = [(AUTHORIZATION, header.parse().expect("it is valid"))];
        let challenge = Credentials::of(&headers.into_iter().collect());
        let challenge = challenge.expect("the challenge is well-formed");
        challenge.get(name).unwrap_or_default().to_owned()
    }

    /// A client's header for a challenge.
    fn authorization(path: &str, algorithm: Algorithm, qop: &str, nonce: &str, nc: u32) -> String {
        authorization_of(path, ("ada", "secret"), algorithm, qop, nonce, nc)
    }

    fn authorization_of(
        path: &str,
        (user, password): (&str, &str),
        algorithm: Algorithm,
        qop: &str,
        nonce: &str,
        nc: u32,
    ) -> String {
        let hash = |text: &str| (algorithm.hash)(text.as_bytes());
        let mut secret = hash(&format!("{user}:httpool:{password}"));
        if algorithm.is_session {
            secret = hash(&format!("{secret}:{nonce}:c"));
        }
        let body = if qop == "auth-int" {
            format!(":{}", hash(""))
        } else {
            String::new()
        };
        let request = hash(&format!("GET:{path}{body}"));
        let response = hash(&format!("{secret}:{nonce}:{nc:08x}:c:{qop}:{request}"));
        format!(
            "Digest username=\"{user}\", realm=\"httpool\", nonce=\"{nonce}\", uri=\"{path}\", \
             algorithm={}, response=\"{response}\", qop={qop},nc={nc:08x} , cnonce=\"c\"",
            algorithm.name
        )
    }

    fn send(path: &str, authorization: &str) -> TestResponse {
        client()
            .get(path)
            .header("authorization", authorization)
            .send()
    }

    #[test]
    fn challenge_is_answered_in_every_algorithm() {
        for algorithm in ALGORITHMS {
            for qop in ["auth", "auth-int"] {
                let path = format!("/digest-auth/{qop}/ada/secret/{}?a=b%20c", algorithm.name);
                let first = client().get(&path).send();
                assert_eq!(first.status(), 401);
                assert_eq!(challenge(&first, "algorithm"), algorithm.name);
                assert_eq!(challenge(&first, "qop"), qop);
                let nonce = challenge(&first, "nonce");
                for nc in [1, 2] {
                    let response = send(&path, &authorization(&path, algorithm, qop, &nonce, nc));
                    assert_eq!(response.status(), 200, "{path}: {response:?}");
                    assert_eq!(member(&response, "/user"), "ada");
                }
            }
        }
    }

    #[test]
    fn stale_nonce_is_told_from_a_wrong_password() {
        let path = &format!("{PATH}/MD5/1");
        let nonce = challenge(&client().get(path).send(), "nonce");
        assert_eq!(
            send(path, &authorization(path, ALGORITHMS[0], "auth", &nonce, 1)).status(),
            200
        );
        for (nonce, nc) in [(&*nonce, 2), ("of another process", 1)] {
            let response = send(path, &authorization(path, ALGORITHMS[0], "auth", nonce, nc));
            assert_eq!(response.status(), 401);
            assert_eq!(challenge(&response, "stale"), "true");
        }
        let wrong = authorization(path, ALGORITHMS[0], "auth", &nonce, 1).replace("ada", "eve");
        let response = send(path, &wrong);
        assert_eq!(
            (response.status().as_u16(), challenge(&response, "stale")),
            (401, String::new())
        );
    }

    #[test]
    fn challenge_has_a_cookie_that_can_be_required() {
        let request = |path: &str| client().get(path).send();
        let first = request(PATH);
        assert_eq!(first.header("set-cookie"), Some("fake=fake_value; Path=/"));
        let nonce = challenge(&first, "nonce");
        for (nc, wanted, sent, status) in [
            (1, "true", "fake=fake_value", 200),
            (2, "1", "a=b; fake=fake_value", 200),
            (3, "T", "fake=other", 403),
            (4, "true", "", 401),
            (5, "no", "", 200),
        ] {
            let path = format!("{PATH}?require-cookie={wanted}");
            let credentials = authorization(&path, ALGORITHMS[0], "auth", &nonce, nc);
            let client = client();
            let mut request = client.get(&path).header("authorization", &credentials);
            if !sent.is_empty() {
                request = request.header("cookie", sent);
            }
            assert_eq!(request.send().status(), status, "{wanted} {sent}");
        }
        let client = client();
        let other = client.get(PATH).header("sec-fetch-site", "cross-site");
        assert_eq!(other.send().header("set-cookie"), None);
    }

    #[test]
    fn replayed_credentials_are_refused() {
        let nonce = challenge(&client().get(PATH).send(), "nonce");
        // Requests on several connections come in any order.
        for nc in [2, 1, 70] {
            let valid = authorization(PATH, ALGORITHMS[0], "auth", &nonce, nc);
            assert_eq!(send(PATH, &valid).status(), 200, "{nc}");
            let replayed = send(PATH, &valid);
            assert_eq!(replayed.status(), 401, "{nc}");
            // The client may continue with another nonce.
            assert_eq!(challenge(&replayed, "stale"), "true");
            assert_ne!(challenge(&replayed, "nonce"), nonce);
        }
        // Credentials that are not valid use no count up.
        let nonce = challenge(&client().get(PATH).send(), "nonce");
        let valid = authorization(PATH, ALGORITHMS[0], "auth", &nonce, 1);
        let wrong = valid.replace("cnonce=\"c\"", "cnonce=\"d\"");
        assert_eq!(send(PATH, &wrong).status(), 401);
        assert_eq!(send(PATH, &valid).status(), 200);
    }

    #[test]
    fn plus_in_a_path_is_a_plus() {
        for (path, user, password) in [
            ("/digest-auth/auth/a+b/c+d", "a+b", "c+d"),
            ("/digest-auth/auth/a%2Bb/c%2Bd?x=+", "a+b", "c+d"),
            ("/digest-auth/auth/a%20b/%C3%A9", "a b", "é"),
        ] {
            let nonce = challenge(&client().get(path).send(), "nonce");
            let valid = authorization_of(path, (user, password), ALGORITHMS[0], "auth", &nonce, 1);
            let response = send(path, &valid);
            assert_eq!(response.status(), 200, "{path}: {response:?}");
            assert_eq!(member(&response, "/user"), user);
        }
    }

    #[test]
    fn credentials_of_another_request_are_refused() {
        let nonce = challenge(&client().get(PATH).send(), "nonce");
        let valid = authorization(PATH, ALGORITHMS[0], "auth", &nonce, 1);
        assert_eq!(send(PATH, &valid).status(), 200);
        assert_eq!(send(&format!("{PATH}?a"), &valid).status(), 400);
        for wrong in [
            valid.replace("Digest", "Basic"),
            valid.replace("qop=auth,", "qop=auth-int,"),
            valid.replace("qop=auth,", ""),
            valid.replace("nc=00000001", "nc=00000000"),
            valid.replace("nc=00000001", "nc=1"),
            valid.replace("cnonce=\"c\"", "cnonce=\"\""),
            valid.replace("cnonce=\"c\"", "cnonce=\"c"),
            valid.replace("httpool", "other"),
            valid.replace("MD5", "SHA-256"),
            format!("{valid}, qop=auth"),
            "Digest".to_owned(),
            "Digest ,".to_owned(),
        ] {
            assert_eq!(send(PATH, &wrong).status(), 401, "{wrong}");
        }
    }

    #[test]
    fn hostile_paths_are_rejected() {
        expect_bad(&[
            "/digest-auth/none/a/b",
            "/digest-auth/auth/a%3Ab/c",
            "/digest-auth/auth/a%0D%0Ab/c",
            "/digest-auth/auth/a/b%00",
            "/digest-auth/auth/a/b/CRC",
            "/digest-auth/auth/a/b/MD5/0",
            "/digest-auth/auth/a/b/MD5/-1",
            "/digest-auth/auth/a/b/MD5/99999999999",
        ]);
    }
}
