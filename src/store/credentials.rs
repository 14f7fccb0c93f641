//! Credentials of Amazon's chain (environment, profile, role, web identity, container, instance) for requests to a
//! bucket, so that bucket and stream are reached as the same user.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Credentials are asked for anew after so long: providers renew theirs at least five minutes before they expire, and
/// asking them costs a request at most. What expires earlier is dropped when the server says so.
const KEPT: Duration = Duration::from_secs(240);

/// Gives the bucket's client the credentials of the chain.
pub(super) struct Credentials {
    provider: SharedCredentialsProvider,
    last: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

/// Credentials that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: {said}")]
pub(super) struct NoCredentials {
    said: String,
    /// Whether it is worth asking again.
    pub(super) is_transient: bool,
}

impl Credentials {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Credentials {
        Credentials { provider, last: Mutex::new(None) }
    }

    /// Drops what is kept: the server says that it has expired.
    pub(super) async fn forget(&self) {
        *self.last.lock().await = None;
    }

    async fn get(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((_, credential)) = last.as_ref().filter(|(at, _)| at.elapsed() < KEPT) {
            return Ok(Arc::clone(credential));
        }
        let found = self.provider.provide_credentials().await.map_err(|error| failed(&error))?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *last = Some((Instant::now(), Arc::clone(&credential)));
        Ok(credential)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.get())
    }
}

fn failed(error: &CredentialsError) -> object_store::Error {
    let is_transient = matches!(
        error,
        CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) | CredentialsError::Unhandled(_)
    );
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    object_store::Error::Generic { store: "S3", source: Box::new(NoCredentials { said, is_transient }) }
}
