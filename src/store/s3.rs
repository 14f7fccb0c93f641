//! The client of a bucket, built from settings: endpoint, addressing, encryption, certificates, time-outs. It makes one
//! attempt of each request; what is tried again, and for how long, is `patience`.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, Certificate, ClientOptions, HeaderMap, HeaderValue, RetryConfig};

use super::StoreError;
use super::credentials::Credentials;
use super::settings::{Addressing, Encryption, Settings};
use crate::aws::{self, AwsError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may be silent; a part is sent within it as well (0.5 MB/s and more).
const SILENCE: Duration = Duration::from_secs(30);
/// Longer than any one request takes: a server that sends drop by drop is left.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Shorter than a server keeps a connection that nobody uses.
const IDLE: Duration = Duration::from_secs(15);
/// What servers that know no regions are asked with.
const ANY_REGION: &str = "us-east-1";

/// A bucket's client.
pub(super) struct Bucket {
    /// Serves everything but what the other does.
    pub(super) objects: AmazonS3,
    /// Completes an upload in parts only if there is no object of that name: every request of it says
    /// `If-None-Match: *`.
    pub(super) creating: AmazonS3,
    pub(super) credentials: Arc<Credentials>,
}

/// Opens a bucket; nothing is asked of it yet. Credentials are those of the settings' chain, if none are given.
pub(super) async fn open(url: &str, bucket: &str, settings: &Settings) -> Result<Bucket, StoreError> {
    // the process's default; whoever was first has chosen the same
    let _ = rustls::crypto::ring::default_provider().install_default();
    let found = load(settings).await?;
    let credentials = found.credentials_provider().ok_or_else(|| refused(url, "no credentials"))?;
    let credentials = Arc::new(Credentials::new(credentials));
    let region = found.region().map_or(ANY_REGION, |region| region.as_ref());
    let endpoint = settings.aws.endpoint_url.as_deref().or(found.endpoint_url());
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_credentials(Arc::clone(&credentials) as _)
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::ZERO });
    let by_host = match settings.addressing {
        Addressing::Path => false,
        Addressing::Host => true,
        Addressing::Usual => endpoint.is_none() && !bucket.contains('.'),
    };
    if let Some(endpoint) = endpoint_of(bucket, endpoint, region, by_host) {
        builder = builder.with_endpoint(endpoint);
    }
    let failed = |error: object_store::Error| refused(url, &error.to_string());
    builder = encrypted(builder.with_virtual_hosted_style_request(by_host), &settings.encryption).map_err(failed)?;
    let options = options(&settings.aws, endpoint)?;
    let create_only = HeaderMap::from_iter([(reqwest::header::IF_NONE_MATCH, HeaderValue::from_static("*"))]);
    let build = |options| builder.clone().with_client_options(options).build();
    Ok(Bucket {
        objects: build(options.clone()).map_err(failed)?,
        creating: build(options.with_default_headers(create_only)).map_err(failed)?,
        credentials,
    })
}

/// Region and credentials. The endpoint is the bucket's alone: a role is assumed at Amazon's.
async fn load(settings: &Settings) -> Result<aws_config::SdkConfig, AwsError> {
    match settings.aws.load().await {
        Err(AwsError::Region) if settings.aws.endpoint_url.is_some() => {
            aws::Settings { region: Some(ANY_REGION.to_owned()), ..settings.aws.clone() }.load().await
        }
        loaded => loaded,
    }
}

/// Where the bucket is, in the form that the client expects: with the bucket in the host name where it goes there.
fn endpoint_of(bucket: &str, endpoint: Option<&str>, region: &str, by_host: bool) -> Option<String> {
    // the client knows the endpoints of Amazon's largest partition alone
    let china = region.starts_with("cn-").then(|| format!("https://s3.{region}.amazonaws.com.cn"));
    let endpoint = endpoint.map(str::to_owned).or(china)?;
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if by_host => Some(format!("{scheme}://{bucket}.{host}")),
        _ => Some(endpoint.to_owned()),
    }
}

fn encrypted(builder: AmazonS3Builder, encryption: &Encryption) -> object_store::Result<AmazonS3Builder> {
    let with = |builder: AmazonS3Builder, key: &str, value: &str| {
        Ok(builder.with_config(key.parse::<AmazonS3ConfigKey>()?, value))
    };
    match encryption {
        Encryption::BucketDefault => Ok(builder),
        Encryption::Aes256 => with(builder, "aws_server_side_encryption", "AES256"),
        Encryption::Kms { key, bucket_key } => {
            let mut builder = with(builder, "aws_server_side_encryption", "aws:kms")?;
            if let Some(key) = key {
                builder = with(builder, "aws_sse_kms_key_id", key)?;
            }
            Ok(builder.with_bucket_key(*bucket_key))
        }
    }
}

fn options(aws: &aws::Settings, endpoint: Option<&str>) -> Result<ClientOptions, AwsError> {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut options = ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(SILENCE)
        .with_timeout(REQUEST_TIMEOUT)
        .with_pool_idle_timeout(IDLE);
    if let Some(pem) = aws.certificates()? {
        let unusable = |error: object_store::Error| AwsError::Certificate {
            path: aws.ca_bundle.clone().unwrap_or_default(),
            reason: error.to_string(),
        };
        for certificate in Certificate::from_pem_bundle(&pem).map_err(unusable)? {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn refused(url: &str, said: &str) -> StoreError {
    let hint = "check `[store.s3]`, and that credentials are in the environment or the profile".to_owned();
    StoreError::Refused { verb: "open", url: url.to_owned(), said: said.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_host() {
        let endpoint = |endpoint, region, by_host| endpoint_of("shop", endpoint, region, by_host);
        assert_eq!(endpoint(None, "eu-central-1", true), None);
        assert_eq!(endpoint(Some("http://127.0.0.1:9000/"), "x", false).unwrap(), "http://127.0.0.1:9000");
        assert_eq!(endpoint(Some("https://s3.example.com"), "x", true).unwrap(), "https://shop.s3.example.com");
        assert_eq!(endpoint(None, "cn-north-1", true).unwrap(), "https://shop.s3.cn-north-1.amazonaws.com.cn");
    }
}
