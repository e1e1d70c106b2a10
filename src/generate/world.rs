//! The companies of the fleet: their apps, where they record to, and how their systems speak.
//!
//! Vendor and region numbers are those of the storage vendor table (domain: storage vendors).

/// Recording modes (API facts, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Individual,
    Mix,
    Web,
    Raw,
}

impl Mode {
    pub(super) const ALL: [Mode; 4] = [Mode::Individual, Mode::Mix, Mode::Web, Mode::Raw];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Mode::Individual => "individual",
            Mode::Mix => "mix",
            Mode::Web => "web",
            Mode::Raw => "raw",
        }
    }
}

/// A bucket, and how it tells of new objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Agora's number.
    pub(super) vendor: i32,
    pub(super) slug: &'static str,
    /// Agora's number of the region; 0 where the vendor has none.
    pub(super) region: i32,
    /// The vendor's own name of the region, as in its notifications.
    pub(super) region_code: &'static str,
    pub(super) bucket: &'static str,
    /// Vendor 11 only.
    pub(super) endpoint: Option<&'static str>,
    pub(super) notices: Notices,
}

/// The form of a bucket's notifications (storage event facts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notices {
    S3,
    S3Sns,
    S3Sqs,
    S3EventBridge,
    Minio,
    Oss,
    OssEventBridge,
    /// OSS through a queue, in base64.
    OssMns,
    Cos,
    /// OBS through its message service.
    ObsSmn,
    AzureEventGrid,
    GcsPubSub,
    /// Our own form.
    Neutral,
    /// Nobody listens to this bucket.
    None,
}

/// How a customer's database changes reach Kafka (state record facts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordForm {
    Debezium,
    DebeziumWithSchema,
    /// Debezium flattened, with `__op` and `__source_ts_ms`.
    Flattened,
    /// Written by the application itself.
    Plain,
}

/// How the customer's row spells the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VendorSpelling {
    Number,
    Slug,
    /// Names people use: `aws`, `aliyun`.
    Alias,
    /// No vendor column: only the host of the recording's URL tells.
    UrlOnly,
}

/// How the receiver of callbacks hands them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallbackForm {
    Bare,
    /// With its headers and the body as an object.
    Wrapped,
    /// With its headers and the bytes as received, which the signature is of.
    WrappedRaw,
}

/// One app of one customer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct App {
    pub(super) id: &'static str,
    /// Channel names begin with this.
    pub(super) channel_stem: &'static str,
    pub(super) mode: Mode,
    pub(super) home: &'static Storage,
    /// Where its software goes when it does not go home.
    pub(super) other: &'static Storage,
    /// First step of the file name prefix; none records to the root of the bucket.
    pub(super) prefix: Option<&'static str>,
    pub(super) service: &'static str,
    /// `acquire.region`, and where its backend runs.
    pub(super) geography: &'static str,
    pub(super) caller_region: &'static str,
    pub(super) bodies_as_text: bool,
    pub(super) uid_as_number: bool,
    pub(super) records: RecordForm,
    pub(super) spelling: VendorSpelling,
    pub(super) callbacks: CallbackForm,
}

macro_rules! storage {
    ($name:ident, $vendor:literal $slug:literal, $region:literal $code:literal, $bucket:literal, $notices:expr) => {
        storage!($name, $vendor $slug, $region $code, $bucket, $notices, None);
    };
    ($name:ident, $vendor:literal $slug:literal, $region:literal $code:literal, $bucket:literal, $notices:expr, $endpoint:expr) => {
        pub(super) static $name: Storage = Storage {
            vendor: $vendor,
            slug: $slug,
            region: $region,
            region_code: $code,
            bucket: $bucket,
            endpoint: $endpoint,
            notices: $notices,
        };
    };
}

storage!(LUMEN_OSS, 2 "oss", 0 "cn-hangzhou", "lumen-class-hz", Notices::Oss);
storage!(LUMEN_S3, 1 "s3", 8 "ap-southeast-1", "lumen-class-sg", Notices::S3);
storage!(TUTOR_OSS, 2 "oss", 6 "cn-shenzhen", "brighttutor-sz", Notices::OssEventBridge);
storage!(TUTOR_S3, 1 "s3", 14 "ap-south-1", "brighttutor-mumbai", Notices::S3Sns);
storage!(CLINIC_S3, 1 "s3", 7 "eu-central-1", "medvisit-fra", Notices::S3EventBridge);
storage!(CLINIC_OSS, 2 "oss", 16 "eu-central-1", "medvisit-oss-fra", Notices::OssMns);
storage!(RIDE_S3, 1 "s3", 0 "us-east-1", "ridewell-calls", Notices::S3Sqs);
storage!(RIDE_GCS, 6 "gcs", 0 "", "ridewell-gcs", Notices::GcsPubSub);
storage!(STAGE_COS, 3 "cos", 2 "ap-shanghai", "stagehall-1250000000", Notices::Cos);
storage!(STAGE_S3, 1 "s3", 10 "ap-northeast-1", "stagehall-tokyo", Notices::S3);
storage!(HARBOR_MINIO, 11 "s3compat", 0 "", "harbor-recordings", Notices::Minio, Some("minio.harbor.example"));
storage!(HARBOR_S3, 1 "s3", 4 "eu-west-1", "harbor-dr", Notices::S3);
storage!(COURT_OBS, 7 "obs", 1 "cn-north-4", "courtline-bj4", Notices::ObsSmn);
storage!(COURT_OSS, 2 "oss", 3 "cn-beijing", "courtline-oss-bj", Notices::Oss);
storage!(DESK_AZURE, 5 "azblob", 0 "", "deskside", Notices::AzureEventGrid);
storage!(DESK_S3, 1 "s3", 1 "us-east-2", "deskside-ohio", Notices::S3);
storage!(POD_BOS, 8 "bos", 3 "gz", "podium-gz", Notices::Neutral);
storage!(POD_S3, 1 "s3", 19 "ap-east-1", "podium-hk", Notices::S3EventBridge);

/// A bucket of somebody's who never switched notifications on.
pub(super) static UNMONITORED: Storage = Storage {
    vendor: 1,
    slug: "s3",
    region: 3,
    region_code: "us-west-2",
    bucket: "quiet-archive",
    endpoint: None,
    notices: Notices::None,
};

/// The first [`OSS_AND_S3_APPS`] know both Alibaba OSS and Amazon S3: the seed case happens to them.
pub(super) static APPS: [App; 9] = [
    App {
        id: "1a5e0c4f7b3d4e2a9c8f6d1b0e7a3c01",
        channel_stem: "class_",
        mode: Mode::Mix,
        home: &LUMEN_OSS,
        other: &LUMEN_S3,
        prefix: Some("tenantA"),
        service: "lesson-api",
        geography: "CN",
        caller_region: "cn-hangzhou",
        bodies_as_text: false,
        uid_as_number: false,
        records: RecordForm::Debezium,
        spelling: VendorSpelling::Number,
        callbacks: CallbackForm::Bare,
    },
    App {
        id: "2b6f1d5a8c4e4f3bad9a7e2c1f8b4d02",
        channel_stem: "tutor-",
        mode: Mode::Mix,
        home: &TUTOR_OSS,
        other: &TUTOR_S3,
        prefix: Some("lessons"),
        service: "tutor-backend",
        geography: "AP",
        caller_region: "ap-south-1",
        bodies_as_text: true,
        uid_as_number: false,
        records: RecordForm::Plain,
        spelling: VendorSpelling::Alias,
        callbacks: CallbackForm::Bare,
    },
    App {
        id: "3c7a2e6b9d5f4a4cbeab8f3d2a9c5e03",
        channel_stem: "visit ",
        mode: Mode::Individual,
        home: &CLINIC_S3,
        other: &CLINIC_OSS,
        prefix: Some("clinic"),
        service: "visit-service",
        geography: "EU",
        caller_region: "eu-central-1",
        bodies_as_text: false,
        uid_as_number: false,
        records: RecordForm::DebeziumWithSchema,
        spelling: VendorSpelling::Slug,
        callbacks: CallbackForm::WrappedRaw,
    },
    App {
        id: "4d8b3f7cae6a4b5dcfbc9a4e3bad6f04",
        channel_stem: "ride_",
        mode: Mode::Mix,
        home: &RIDE_S3,
        other: &RIDE_GCS,
        prefix: None,
        service: "dispatch",
        geography: "NA",
        caller_region: "us-east-1",
        bodies_as_text: false,
        uid_as_number: true,
        records: RecordForm::Flattened,
        spelling: VendorSpelling::UrlOnly,
        callbacks: CallbackForm::Bare,
    },
    App {
        id: "5e9c4a8dbf7b4c6eda0dab5f4cbe7a05",
        channel_stem: "stage-",
        mode: Mode::Web,
        home: &STAGE_COS,
        other: &STAGE_S3,
        prefix: Some("shows"),
        service: "stage-recorder",
        geography: "CN",
        caller_region: "cn-shanghai",
        bodies_as_text: false,
        uid_as_number: false,
        records: RecordForm::Debezium,
        spelling: VendorSpelling::Number,
        callbacks: CallbackForm::Wrapped,
    },
    App {
        id: "6fad5b9eca8c4d7feb1ebc6a5dcf8b06",
        channel_stem: "berth+",
        mode: Mode::Mix,
        home: &HARBOR_MINIO,
        other: &HARBOR_S3,
        prefix: Some("ops"),
        service: "harbor-control",
        geography: "EU",
        caller_region: "eu-west-1",
        bodies_as_text: false,
        uid_as_number: false,
        records: RecordForm::Plain,
        spelling: VendorSpelling::Number,
        callbacks: CallbackForm::Bare,
    },
    App {
        id: "7abe6cafdb9d4e8afc2fcd7b6eda9c07",
        channel_stem: "hearing.",
        mode: Mode::Mix,
        home: &COURT_OBS,
        other: &COURT_OSS,
        prefix: Some("docket"),
        service: "court-api",
        geography: "CN",
        caller_region: "cn-north-4",
        bodies_as_text: true,
        uid_as_number: false,
        records: RecordForm::Debezium,
        spelling: VendorSpelling::Slug,
        callbacks: CallbackForm::Bare,
    },
    App {
        id: "8bcf7dbaecae4f9bad3ade8c7febad08",
        channel_stem: "ticket#",
        mode: Mode::Raw,
        home: &DESK_AZURE,
        other: &DESK_S3,
        prefix: Some("support"),
        service: "deskside-agent",
        geography: "NA",
        caller_region: "us-east-2",
        bodies_as_text: false,
        uid_as_number: false,
        records: RecordForm::Flattened,
        spelling: VendorSpelling::Number,
        callbacks: CallbackForm::Bare,
    },
    App {
        id: "9cda8ecbfdbf4aacbe4bef9d8afcbe09",
        channel_stem: "podium_",
        mode: Mode::Mix,
        home: &POD_BOS,
        other: &POD_S3,
        prefix: Some("talks"),
        service: "podium",
        geography: "AP",
        caller_region: "ap-east-1",
        bodies_as_text: false,
        uid_as_number: false,
        records: RecordForm::Plain,
        spelling: VendorSpelling::Slug,
        callbacks: CallbackForm::Bare,
    },
];

/// See [`APPS`].
pub(super) const OSS_AND_S3_APPS: usize = 3;
