//! The customer's side: a PostgreSQL, and Kafka Connect with Debezium's connector, which the scripts run.

use crate::broker::Broker;
use crate::service::Service;

/// A running PostgreSQL.
pub struct Database(Service);

impl Database {
    pub fn start() -> Database {
        let service = Service::new("postgres");
        service.start(&[]);
        Database(service)
    }

    /// Runs SQL as one transaction, by PostgreSQL's own client; returns what it answers as CSV, without a head.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.0.call("sql", &[], &[], sql)
    }
}

/// The connector that users begin with.
const SETTINGS: &str = include_str!("../../schemas/session_records.debezium.properties");

/// A running connector, from the table `public.recordings` to a topic.
pub struct Connector {
    service: Service,
    brokers: String,
    settings: String,
}

impl Connector {
    /// Starts the connector of `schemas/`, with addresses and topic in the place of the example's.
    pub fn start(broker: &Broker, database: &Database, topic: &str) -> Connector {
        let mut connector = Connector {
            service: Service::new("connect"),
            brokers: broker.address().to_string(),
            settings: SETTINGS.to_string(),
        };
        let facts = database.0.facts();
        connector.set("database.port", &facts["PORT"]);
        connector.set("database.user", &facts["USER"]);
        connector.set("database.password", &facts["PASSWORD"]);
        connector.set("database.dbname", &facts["DATABASE"]);
        connector.set("transforms.route.replacement", topic);
        connector.start_again();
        connector
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        let named = format!("{name}=");
        assert!(
            self.settings.lines().any(|line| line.starts_with(&named)),
            "the example has no `{name}`"
        );
        // Of two lines the last one counts.
        self.settings.push_str(&format!("{name}={value}\n"));
    }

    /// Starts it where it left off.
    pub fn start_again(&self) {
        let place = self.service.dir().join("connector.properties");
        std::fs::write(place, &self.settings).expect("the settings are written");
        let brokers = [("TAPETRAIL_CONNECT_BROKERS", self.brokers.as_str())];
        self.service.start(&brokers);
    }

    /// Ends it before it has noted how far it read: it will send again what it sent.
    pub fn kill(&self) {
        self.service.stop("KILL");
    }

    /// Ends it in good order.
    pub fn stop(&self) {
        self.service.stop("TERM");
    }
}
