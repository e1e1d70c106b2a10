//! Tell-tale names: which key holds a secret (domain/cloud-recording-api.md, section 3).
//!
//! Every key of every message is asked about, so the answer for an innocent name costs a few nanoseconds:
//! one table look-up per three bytes, and the exact comparison only for the few names that pass it.

/// Parts of a name that tell of a secret: lower case, separators dropped.
pub(super) const WORDS: [&str; 14] = [
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "accesskey",
    "apikey",
    "privatekey",
    "signature",
    "authorization",
    "rtmpurl",
    "apidata",
    "cookie",
];

/// Names that tell of a secret only when they are the whole name: too short to look for inside others.
pub(super) const WHOLE_NAMES: [&str; 3] = ["salt", "sts", "pwd"];

/// What the value under a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing by its name.
    Plain,
    /// The value of a name that stands beside it: `{"name":"Authorization","value":".."}`.
    PairValue,
    /// A host, perhaps with user info but without a scheme that would show it.
    Endpoint,
    /// A secret.
    Secret,
    /// A secret that leaves a fingerprint.
    AccessKey,
    /// A fingerprint that an earlier redaction left.
    Fingerprint,
}

impl Kind {
    #[inline]
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Kind::Secret | Kind::AccessKey | Kind::Fingerprint)
    }
}

/// The member that holds the fingerprint of its sibling `accessKey`.
pub(super) const FINGERPRINT: &str = "access_key_fingerprint";

/// Judges a key, escapes already undone.
#[inline]
pub(super) fn classify(name: &[u8]) -> Kind {
    if name.len() <= 4 {
        return classify_short(name);
    }
    // The last step of a path, as updates of MongoDB write them: `storage.sts`.
    if let [.., b'.', _, _, _] | [.., b'.', _, _, _, _] = name {
        let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
        if classify_short(last) == Kind::Secret {
            return Kind::Secret;
        }
    }
    if !may_contain_word(name) {
        return Kind::Plain;
    }
    classify_exactly(name)
}

/// Tells whether a name is tell-tale.
#[inline]
pub(super) fn is_sensitive(name: &[u8]) -> bool {
    classify(name).is_secret()
}

/// Tells whether a key is one for the value of a name beside it.
pub(super) fn holds_pair_value(key: &[u8]) -> bool {
    classify(key) == Kind::PairValue
}

/// Tells whether a text is a name and nothing else, and a tell-tale one.
pub(super) fn is_sensitive_name(text: &[u8]) -> bool {
    const NAME_BYTES_MAX: usize = 48;
    text.len() <= NAME_BYTES_MAX
        && is_sensitive(text)
        && text.iter().all(|byte| is_name_byte(*byte) || *byte == b' ')
}

/// Tells whether a byte can stand in a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Tells whether two names are the same but for case and separators; `plain` is lower case without them.
pub(super) fn is_same_name(name: &[u8], plain: &str) -> bool {
    let letters = name.iter().filter(|byte| !is_separator(**byte));
    letters.map(u8::to_ascii_lowercase).eq(plain.bytes())
}

/// Keys whose strings are names of channels and objects: free text may look like `token: x` there, and must stay.
pub(super) fn holds_identity(name: &[u8]) -> bool {
    const IDENTITIES: [&str; 16] = [
        "cname",
        "channel",
        "channelname",
        "uid",
        "sid",
        "resourceid",
        "bucket",
        "bucketname",
        "key",
        "objectkey",
        "objectid",
        "filename",
        "filenameprefix",
        "prefix",
        "filelist",
        "subject",
    ];
    name.len() <= 20
        && IDENTITIES
            .iter()
            .any(|identity| is_same_name(name, identity))
}

#[inline]
fn classify_short(name: &[u8]) -> Kind {
    let mut letters = [0; 4];
    for (letter, byte) in letters.iter_mut().zip(name) {
        *letter = byte | 32;
    }
    match &letters {
        b"salt" | b"sts\0" | b"pwd\0" => Kind::Secret,
        b"text" | b"val\0" | b"v\0\0\0" => Kind::PairValue,
        _ => Kind::Plain,
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b' ' | b'.')
}

fn classify_exactly(name: &[u8]) -> Kind {
    const NAME_BYTES_MAX: usize = 64;
    // The names of most calls that pass the look-up, without further ado.
    match name {
        b"token" | b"secretKey" | b"stsToken" | b"Authorization" | b"authorization" => {
            return Kind::Secret;
        }
        b"accessKey" => return Kind::AccessKey,
        b"Content-Type" | b"content-type" | b"sliceStartTime" | b"resourceExpiredHour" => {
            return Kind::Plain;
        }
        _ => {}
    }
    if name == FINGERPRINT.as_bytes() {
        return Kind::Fingerprint;
    }
    // Keys are short; only a longer one needs memory of its own.
    let mut short = [0; NAME_BYTES_MAX];
    let mut long = Vec::new();
    let letters = if name.len() <= NAME_BYTES_MAX {
        &mut short[..name.len()]
    } else {
        long.resize(name.len(), 0);
        long.as_mut_slice()
    };
    let mut length = 0;
    for byte in name.iter().filter(|byte| !is_separator(**byte)) {
        letters[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let letters = &letters[..length];
    if letters == b"accesskey" {
        return Kind::AccessKey;
    }
    let begins_word = |start: usize| {
        WORDS
            .iter()
            .any(|word| letters[start..].starts_with(word.as_bytes()))
    };
    let is_first = |byte: &u8| matches!(byte, b's' | b't' | b'p' | b'c' | b'a' | b'r');
    if (0..length).any(|start| is_first(&letters[start]) && begins_word(start)) {
        return Kind::Secret;
    }
    match letters {
        b"endpoint" => Kind::Endpoint,
        b"content" => Kind::PairValue,
        _ if letters.windows(5).any(|part| part == b"value") => Kind::PairValue,
        _ => Kind::Plain,
    }
}

/// Five neighboring bytes of each spelling of each word and of the other names that [`classify`] knows. Whatever the position of the word in a name,
/// one of the three trigrams in them starts at a multiple of three.
const SAMPLES: [&str; 30] = [
    "secre", "token", "passw", "pass_", "pass-", "pass ", "pass.", "passp", "reden", "acces",
    "pikey", "pi_ke", "pi-ke", "pi ke", "pi.ke", "priva", "signa", "autho", "rtmpu", "rtmp_",
    "rtmp-", "rtmp.", "pidat", "pi_da", "pi-da", "pi.da", "cooki", "value", "endpo", "onten",
];

/// One bit for each trigram of [`SAMPLES`], letters folded to five bits.
static TRIGRAMS: [u64; 512] = trigrams();

const SAMPLE_BYTES: usize = 5;

/// [`SAMPLES`], letters folded to five bits.
const FOLDED_SAMPLES: [u32; SAMPLES.len()] = {
    let mut folded = [0; SAMPLES.len()];
    let mut sample = 0;
    while sample < SAMPLES.len() {
        folded[sample] = match SAMPLES[sample].as_bytes().first_chunk() {
            Some(bytes) => fold_sample(bytes),
            None => panic!("each sample has five bytes"),
        };
        sample += 1;
    }
    folded
};

const fn fold_sample(bytes: &[u8; SAMPLE_BYTES]) -> u32 {
    let [first, second, third, fourth, fifth] = *bytes;
    fold(first, second, third) as u32 | (fourth as u32 & 31) << 15 | (fifth as u32 & 31) << 20
}

const fn trigrams() -> [u64; 512] {
    let mut table = [0; 512];
    let mut sample = 0;
    while sample < SAMPLES.len() {
        let bytes = SAMPLES[sample].as_bytes();
        let mut start = 0;
        while start < 3 {
            let index = fold(bytes[start], bytes[start + 1], bytes[start + 2]);
            table[index >> 6] |= 1 << (index & 63);
            start += 1;
        }
        sample += 1;
    }
    table
}

#[inline]
const fn fold(first: u8, second: u8, third: u8) -> usize {
    (first as usize & 31) | (second as usize & 31) << 5 | (third as usize & 31) << 10
}

#[inline]
fn is_sampled(trigram: &[u8]) -> bool {
    let index = fold(trigram[0], trigram[1], trigram[2]);
    TRIGRAMS[index >> 6] >> (index & 63) & 1 == 1
}

/// Tells fast that no word is in a name; `true` means only that one may be.
#[inline]
fn may_contain_word(name: &[u8]) -> bool {
    name.chunks_exact(3).any(is_sampled)
}

/// Tells almost surely whether a word of [`WORDS`] is in a text; never `false` if one is.
#[inline]
pub(super) fn contains_word(text: &[u8]) -> bool {
    text.chunks_exact(3)
        .enumerate()
        .any(|(chunk, trigram)| is_sampled(trigram) && is_sample_around(text, 3 * chunk))
}

#[cold]
fn is_sample_around(text: &[u8], at: usize) -> bool {
    (at.saturating_sub(2)..=at).any(|start| {
        let window = text
            .get(start..start + SAMPLE_BYTES)
            .and_then(<[u8]>::first_chunk);
        window.is_some_and(|window| FOLDED_SAMPLES.contains(&fold_sample(window)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_at_every_position_in_every_spelling() {
        let spelled = [
            "access_key",
            "access-key",
            "Access Key",
            "api_key",
            "api-key",
            "API Key",
            "rtmp_url",
            "rtmp-url",
            "api_data",
            "api-data",
            "private_key",
            "pass_phrase",
            "pass-word",
        ];
        for word in WORDS.into_iter().chain(spelled) {
            for before in 0..7 {
                for name in [word.to_string(), word.to_uppercase()] {
                    let name = format!("{}{name}{}", &"xxxxxxx"[..before], "z");
                    assert!(is_sensitive(name.as_bytes()), "{name}");
                }
            }
        }
    }

    #[test]
    fn the_listed_names_are_sensitive() {
        for name in [
            "token",
            "secretKey",
            "stsToken",
            "secret",
            "salt",
            "Salt",
            "rtmpUrl",
            "rtmp_url",
            "apiData",
            "sts",
            "Authorization",
            "authorization",
            "agora-signature-v2",
            "X-Amz-Security-Token",
            "accessKeyId",
            "AccessKeySecret",
            "client_secret",
            "db_password",
            "PASSWD",
            "awsCredentials",
            "X-Api-Key",
            "Set-Cookie",
        ] {
            assert_eq!(classify(name.as_bytes()), Kind::Secret, "{name}");
        }
        for name in [
            "accessKey",
            "access_key",
            "AccessKey",
            "ACCESSKEY",
            "access-key",
        ] {
            assert_eq!(classify(name.as_bytes()), Kind::AccessKey, "{name}");
        }
        for name in [
            "value",
            "Value",
            "stringValue",
            "val",
            "v",
            "content",
            "Text",
        ] {
            assert_eq!(classify(name.as_bytes()), Kind::PairValue, "{name}");
        }
        assert_eq!(classify(b"endpoint"), Kind::Endpoint);
        assert_eq!(classify(b"access_key_fingerprint"), Kind::Fingerprint);
        assert_eq!(classify(b"accessKeyFingerprint"), Kind::Secret);
    }

    #[test]
    fn whole_names_are_found() {
        for name in WHOLE_NAMES {
            assert_eq!(classify(name.as_bytes()), Kind::Secret);
            assert_eq!(classify(name.to_uppercase().as_bytes()), Kind::Secret);
            assert_eq!(classify(format!("{name}x").as_bytes()), Kind::Plain);
        }
    }

    #[test]
    fn words_are_found_in_long_names() {
        let name = format!("{}secret_key", "x-".repeat(100));
        assert_eq!(classify(name.as_bytes()), Kind::Secret);
    }

    #[test]
    fn needed_names_are_plain() {
        for name in [
            "vendor",
            "region",
            "bucket",
            "fileNamePrefix",
            "resourceId",
            "cname",
            "uid",
            "sid",
            "stsExpiration",
            "key",
            "eTag",
            "etag",
            "x-amz-request-id",
            "x-amz-id-2",
            "storageConfig",
            "cred",
            "created",
            "accessTier",
            "author",
            "privateParams",
            "status",
            "results",
            "salted_",
            "statsMs",
            "",
            "responseElements",
            "principalId",
            "sequencer",
            "userIdentity",
            "api",
            "apiVersion",
            "passed",
        ] {
            assert_eq!(classify(name.as_bytes()), Kind::Plain, "{name}");
        }
    }
}
