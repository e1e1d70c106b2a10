//! The flags that say where the brokers are and how to talk to them.

use anyhow::{Context as _, Result};
use clap::Args;

use crate::config::Kafka;

#[derive(Debug, Args)]
pub(super) struct KafkaArgs {
    /// `bootstrap.servers` of the brokers
    #[arg(
        short = 'b',
        long,
        env = "TAPETRAIL_BROKERS",
        value_name = "HOST:PORT,..."
    )]
    brokers: Option<String>,

    #[command(flatten)]
    properties: PropertyArgs,
}

/// How to talk to the brokers, wherever they are.
#[derive(Debug, Args)]
pub(super) struct PropertyArgs {
    /// Any librdkafka property, as in `-X security.protocol=SASL_SSL`
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
}

impl KafkaArgs {
    /// Puts what was given in the place of what the configuration says.
    pub(super) fn apply(self, kafka: &mut Kafka) -> Result<()> {
        if let Some(brokers) = self.brokers {
            kafka.brokers = brokers;
        }
        self.properties.apply(kafka)
    }
}

impl PropertyArgs {
    /// Puts what was given in the place of what the configuration says.
    pub(super) fn apply(&self, kafka: &mut Kafka) -> Result<()> {
        for property in &self.properties {
            let (name, value) = property
                .split_once('=')
                .with_context(|| format!("-X {property}: write it as name=value"))?;
            kafka.properties.insert(name.to_string(), value.to_string());
        }
        Ok(())
    }
}
