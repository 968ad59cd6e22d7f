//! Ids of the records that people decide on: UUIDs of version 7, so that ids
//! sort by time.

/// Makes a newtype around a UUID that is written and read as one.
macro_rules! uuid_id {
    ($(#[$text:meta])* $name:ident) => {
        $(#[$text])*
        #[derive(
            Debug,
            Clone,
            Copy,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            serde::Serialize,
            serde::Deserialize,
            utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = uuid::Uuid)]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0.hyphenated().to_string())
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map($name)
            }
        }
    };
}

uuid_id!(
    /// A rollout's id.
    RolloutId
);
uuid_id!(
    /// A kept report's id.
    ReportId
);
uuid_id!(
    /// An incident's id.
    IncidentId
);
uuid_id!(
    /// A recommendation's id.
    RecommendationId
);
uuid_id!(
    /// A request's id.
    ChangeRequestId
);
