//! Why no broker can be used, in a sentence that names the setting and the cure.
//!
//! librdkafka tells of a wrong password or certificate on the side, as a text, while requests only time out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The last trouble with the brokers that has an explanation.
#[derive(Debug, Default)]
pub(super) struct LastTrouble(Mutex<Option<String>>);

impl LastTrouble {
    /// Notes an error, and returns its explanation if there is one.
    pub fn note(&self, error: &KafkaError, reason: &str) -> Option<String> {
        let why = explain(error.rdkafka_error_code()?, reason)?;
        *self.lock() = Some(why.clone());
        Some(why)
    }

    /// A broker answers: what went wrong before is over.
    pub fn is_over(&self) {
        *self.lock() = None;
    }

    pub fn get(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Explains what can be put right in the configuration; anything else is none.
fn explain(code: Code, reason: &str) -> Option<String> {
    let says = |words: &str| reason.contains(words);
    let cure = match code {
        Code::Authentication if says("supported mechanisms") => {
            "the brokers do not offer this way to log in; set kafka.properties.\"sasl.mechanism\" to one that they do"
        }
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "the brokers refuse the login; check kafka.properties.\"sasl.username\" and kafka.properties.\"sasl.password\" (or -X sasl.password=...)"
        }
        Code::SSL if says("ssl.ca.location") => {
            "the brokers' certificate cannot be verified; set kafka.properties.\"ssl.ca.location\" to the certificate of the CA that signed it, and name hosts in kafka.brokers as the certificate does"
        }
        Code::SSL if says("ssl.certificate.location") => {
            "the brokers ask for a certificate of the client; set kafka.properties.\"ssl.certificate.location\" and kafka.properties.\"ssl.key.location\""
        }
        Code::SSL => {
            "TLS with the brokers fails; check kafka.properties.\"security.protocol\" and the kafka.properties that begin with ssl"
        }
        _ if says("PLAINTEXT broker listener") => {
            "the brokers speak no TLS at this port; set kafka.properties.\"security.protocol\" to PLAINTEXT or SASL_PLAINTEXT, or name the port for TLS in kafka.brokers"
        }
        _ if says("security.protocol") => {
            "the brokers close the connection; set kafka.properties.\"security.protocol\" to what this port speaks: SSL, SASL_SSL or SASL_PLAINTEXT"
        }
        Code::Resolve => "the host is not known; check kafka.brokers",
        _ if says("Connection refused") => "nobody listens at this address; check kafka.brokers",
        _ => return None,
    };
    Some(format!("{cure} (librdkafka: {reason})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, reason: &str, names: &[&str]) {
        let why = explain(code, reason).expect("has an explanation");
        for name in names {
            assert!(why.contains(name), "`{name}` is not in: {why}");
        }
        assert!(why.contains(reason), "what librdkafka says is there: {why}");
    }

    #[test]
    fn each_trouble_names_the_setting_that_cures_it() {
        let at = "sasl_ssl://k1:9093/bootstrap";
        let password = format!("{at}: SASL authentication error: Authentication failed");
        check(
            Code::Authentication,
            &password,
            &["\"sasl.username\"", "\"sasl.password\""],
        );
        let mechanism = format!(
            "{at}: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512"
        );
        check(Code::Authentication, &mechanism, &["\"sasl.mechanism\""]);
        let certificate = format!(
            "{at}: SSL handshake failed: error:0A000086: broker certificate could not be verified, verify that ssl.ca.location is correctly configured"
        );
        check(Code::SSL, &certificate, &["\"ssl.ca.location\""]);
        let client = format!(
            "{at}: SSL handshake failed: unexpected message: client SSL authentication might be required (see ssl.key.location and ssl.certificate.location"
        );
        check(
            Code::SSL,
            &client,
            &["\"ssl.certificate.location\"", "\"ssl.key.location\""],
        );
        let plain = format!(
            "{at}: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?"
        );
        check(
            Code::BrokerTransportFailure,
            &plain,
            &["\"security.protocol\" to PLAINTEXT"],
        );
        let tls = "k1:9093/bootstrap: Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol configuration (connecting to a SSL listener?)";
        check(
            Code::BrokerTransportFailure,
            tls,
            &["\"security.protocol\"", "SASL_SSL"],
        );
        let refused = "k1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused";
        check(Code::BrokerTransportFailure, refused, &["kafka.brokers"]);
        let unknown = "k1:9092/bootstrap: Failed to resolve 'k1:9092': Name or service not known";
        check(Code::Resolve, unknown, &["kafka.brokers"]);
    }

    #[test]
    fn the_last_trouble_is_kept_until_a_broker_answers() {
        let last = LastTrouble::default();
        let refused = KafkaError::Global(Code::Authentication);
        assert!(last.note(&refused, "k1: no").is_some());
        // What says less does not replace what says more.
        let down = KafkaError::Global(Code::AllBrokersDown);
        assert_eq!(last.note(&down, "1/1 brokers are down"), None);
        assert!(last.get().is_some_and(|why| why.contains("sasl.password")));
        last.is_over();
        assert_eq!(last.get(), None);
    }
}
