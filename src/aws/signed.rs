//! Signed requests to services of which a job needs one call: a POST with a signature of version 4, made by the library
//! that the service clients themselves sign with. A whole generated client for each such service would add a minute of
//! compile time and some megabytes for one operation.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::{Client, RequestBuilder};
use tokio::sync::Mutex;

use super::{AwsError, Settings};

/// Credentials are asked for again after so long; whoever gives them keeps them for as long as they hold.
const KEPT_MICROS: i64 = 60_000_000;

/// The one service that wants the hash of the body as a header besides.
const SERVERLESS_SEARCH: &str = "aoss";

/// One of Amazon's services.
pub struct Service {
    client: Client,
    name: &'static str,
    endpoint: String,
    region: String,
    provider: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<(i64, Credentials)>>,
}

/// A request that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Nobody gives credentials.
    #[error("no credentials: {0}")]
    Credentials(String),
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Sign(String),
}

impl Service {
    /// Finds region, credentials and endpoint of a service, such as `sns`; requests go through `client`.
    ///
    /// # Errors
    /// When no region is known or certificates cannot be used.
    pub async fn open(settings: &Settings, name: &'static str, client: Client) -> Result<Service, AwsError> {
        let found = settings.load().await?;
        let region = found.region().ok_or(AwsError::Region)?.to_string();
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = found.endpoint_url().map_or_else(|| format!("https://{name}.{region}.{domain}"), str::to_owned);
        let (endpoint, provider) = (endpoint.trim_end_matches('/').to_owned(), found.credentials_provider());
        Ok(Service { client, name, endpoint, region, provider, kept: Mutex::new(None) })
    }

    /// A POST with these headers and this body, signed at a time in microseconds since 1970.
    ///
    /// # Errors
    /// When there are no credentials, or a header cannot be signed.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        now_micros: i64,
    ) -> Result<RequestBuilder, SignError> {
        let url = format!("{}{path}", self.endpoint);
        let failed = |error: &dyn std::fmt::Display| SignError::Sign(error.to_string());
        let identity = self.credentials(now_micros).await?.into();
        let since = Duration::from_micros(u64::try_from(now_micros).unwrap_or(0));
        let mut settings = SigningSettings::default();
        if self.name == SERVERLESS_SEARCH {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.name)
            .time(SystemTime::UNIX_EPOCH + since)
            .settings(settings)
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let signed = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request = SignableRequest::new("POST", &url, signed, SignableBody::Bytes(&body));
        let request = request.map_err(|error| failed(&error))?;
        let (instructions, _) = sign(request, &params).map_err(|error| failed(&error))?.into_parts();
        let mut request = self.client.post(&url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(request.body(body))
    }

    async fn credentials(&self, now_micros: i64) -> Result<Credentials, SignError> {
        let mut kept = self.kept.lock().await;
        if let Some((at, credentials)) = kept.as_ref().filter(|(at, _)| (0..KEPT_MICROS).contains(&(now_micros - at))) {
            let _ = at;
            return Ok(credentials.clone());
        }
        let provider = self.provider.as_ref().ok_or_else(|| SignError::Credentials("none are configured".into()))?;
        let found = provider.provide_credentials().await.map_err(|error| SignError::Credentials(error.to_string()))?;
        *kept = Some((now_micros, found.clone()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn service(name: &'static str) -> Service {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let settings = Settings {
            region: Some("eu-central-1".into()),
            endpoint_url: Some("http://127.0.0.1:1/".into()),
            credentials: Some(SharedCredentialsProvider::new(credentials)),
            ..Settings::default()
        };
        Service::open(&settings, name, Client::new()).await.unwrap()
    }

    const ES_SIGNATURE: &str = "0ec8d7698b692f2f7a04831ffdb56e2024586209ebf4803b7fe9d77d73742ee3";
    const AOSS_SIGNATURE: &str = "f055405d29974848934bad2d85ef33dbadeb6f95a6a76beabddc51a4566094fc";

    /// Signatures as botocore 1.43.106 makes them of the same request.
    #[tokio::test]
    async fn searches_are_signed_as_others_sign_them() {
        let headers = [("content-type", "application/x-ndjson".to_owned())];
        for (name, signature) in [("es", ES_SIGNATURE), ("aoss", AOSS_SIGNATURE)] {
            let request = service(name).await.post("/_bulk", &headers, b"{}\n".to_vec(), 1_700_000_000_000_000).await;
            let request = request.unwrap().build().unwrap();
            let authorization = request.headers()["authorization"].to_str().unwrap();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{name}: {authorization}");
            assert_eq!(request.headers().contains_key("x-amz-content-sha256"), name == "aoss");
        }
    }

    #[tokio::test]
    async fn a_request_is_signed_for_its_service_and_time() {
        let service = service("sns").await;
        let headers = [("content-type", "application/json".to_owned())];
        let post =
            async |body: &str, at| service.post("/a%3Ab", &headers, body.into(), at).await.unwrap().build().unwrap();
        let request = post("{}", 1_700_000_000_000_000).await;
        let of = |request: &reqwest::Request, name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(request.url().as_str(), "http://127.0.0.1:1/a%3Ab");
        assert_eq!(of(&request, "x-amz-date"), "20231114T221320Z");
        let authorization = of(&request, "authorization");
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-central-1/sns/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date, Signature=";
        assert!(authorization.starts_with(scope), "{authorization}");
        assert_ne!(authorization, of(&post("{ }", 1_700_000_000_000_000).await, "authorization"), "the body is signed");
    }
}
