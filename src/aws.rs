//! Who we are to Amazon's services: region, credentials, endpoint, trusted certificates. The stream and the bucket are
//! asked for with the same words and reached with the same credentials: the default chain (environment, profile, web
//! identity, container, instance), a named profile, or a role that they may assume.

mod signed;

use std::path::PathBuf;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

pub use signed::{Service, SignError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer of ten megabytes over a slow line takes some seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const SESSION_NAME: &str = "tidewatch";

/// How a service is reached. What is not given comes from the environment and the profile.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Region, such as `eu-central-1`.
    pub region: Option<String>,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// A role to assume with the credentials found.
    pub role_arn: Option<String>,
    /// Another endpoint than Amazon's.
    pub endpoint_url: Option<String>,
    /// A file of certificates in PEM form that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Credentials given by whoever calls this library, instead of those that are found.
    pub credentials: Option<SharedCredentialsProvider>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// The file of certificates cannot be read.
    #[error("`{path}` cannot be read: {source}; hint: `ca_bundle` is a file of certificates in PEM form")]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate in it is none.
    #[error("`{path}` holds no usable certificate: {reason}; hint: `ca_bundle` is a file of certificates in PEM form")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No region is known.
    #[error("no region is known; hint: set `region`, or `AWS_REGION` in the environment")]
    Region,
}

impl Settings {
    /// The same in the region that an ARN names, where none is given. Other names name none.
    pub fn in_region_of(&self, name: &str) -> Settings {
        let mut parts = name.split(':');
        let is_arn = parts.next() == Some("arn");
        let named = parts.nth(2).filter(|region| is_arn && !region.is_empty()).map(str::to_owned);
        Settings { region: self.region.clone().or(named), ..self.clone() }
    }

    /// The bytes of the trusted certificates, where there are any besides the system's.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn certificates(&self) -> Result<Option<Vec<u8>>, AwsError> {
        let Some(path) = &self.ca_bundle else { return Ok(None) };
        let read = std::fs::read(path).map_err(|source| AwsError::CaBundle { path: path.clone(), source })?;
        if !read.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN) {
            return Err(AwsError::Certificate { path: path.clone(), reason: "it has no `BEGIN CERTIFICATE`".into() });
        }
        Ok(Some(read))
    }

    /// Finds region and credentials.
    ///
    /// # Errors
    /// When the certificates cannot be used or no region is known.
    pub async fn load(&self) -> Result<SdkConfig, AwsError> {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let tls = Provider::Rustls(CryptoMode::Ring);
        let client = Builder::new().tls_provider(tls).tls_context(self.tls_context()?).build_https();
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(client).timeout_config(timeouts.build());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let found = loader.load().await;
        if found.region().is_none() {
            return Err(AwsError::Region);
        }
        let mut config = found.clone().into_builder();
        if let Some(role) = &self.role_arn {
            let assumed = AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&found).build().await;
            config = config.credentials_provider(SharedCredentialsProvider::new(assumed));
        }
        // the endpoint of the service that was asked for, and not of the one that gives credentials
        if let Some(url) = &self.endpoint_url {
            config = config.endpoint_url(url);
        }
        Ok(config.build())
    }

    fn tls_context(&self) -> Result<TlsContext, AwsError> {
        let mut trusted = TrustStore::default();
        if let Some(certificates) = self.certificates()? {
            trusted = trusted.with_pem_certificate(certificates);
        }
        let context = TlsContext::builder().with_trust_store(trusted).build();
        context.map_err(|error| AwsError::Certificate {
            path: self.ca_bundle.clone().unwrap_or_default(),
            reason: error.to_string(),
        })
    }
}

const PEM_BEGIN: &[u8] = b"BEGIN CERTIFICATE";
