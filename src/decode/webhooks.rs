//! Notifications of the recording service (`domain/webhooks.md`).

/// What the check of a notification's signature said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature<'a> {
    /// No secret is configured, there is no signature, or the signed bytes are not there.
    #[default]
    Unchecked,
    /// It fits the secret of this id.
    Valid { key_id: &'a str },
    /// It fits none of the secrets.
    Invalid,
}
