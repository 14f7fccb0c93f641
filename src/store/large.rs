//! An object of many bytes is uploaded in parts: each is sent again by itself where it fails, and the object appears
//! when the upload is completed, whole. An upload that fails is given up; what a killed process leaves of one is not
//! visible as an object, and a life cycle rule of the bucket removes it.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt as _, PutResult};

use super::fault::{Fault, Kind, Verb};
use super::patience::{Patience, Trial};

/// Parts under way at once: one alone leaves the line idle while it waits for its answer.
const AT_ONCE: usize = 4;

/// Uploads in parts.
#[derive(Clone)]
pub(super) struct Large {
    pub(super) objects: Arc<AmazonS3>,
    /// Completes an upload only if there is no object of that name.
    pub(super) creating: Arc<AmazonS3>,
    /// An object of more bytes is large.
    pub(super) above: usize,
    /// A large object has parts of so many.
    pub(super) part_bytes: usize,
}

/// Whether an object of that name is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It is replaced.
    Replace,
    /// It stays, and the upload fails.
    Keep,
}

impl Large {
    /// Uploads an object.
    pub(super) async fn upload(
        &self,
        path: &Path,
        bytes: &Bytes,
        over: Over,
        patience: Patience,
    ) -> object_store::Result<PutResult> {
        // what would be refused at the end need not be sent; one part alone costs no more than the question
        if over == Over::Keep && bytes.len() > self.part_bytes && self.objects.head(path).await.is_ok() {
            let source = "it is there already".into();
            return Err(object_store::Error::AlreadyExists { path: path.to_string(), source });
        }
        let id = self.objects.create_multipart(path).await?;
        let uploaded = self.send(path, &id, bytes, over, patience).await;
        if uploaded.is_err() {
            // it is invisible and costs little; what matters is the failure itself
            let _ = self.objects.abort_multipart(path, &id).await;
        }
        uploaded
    }

    async fn send(
        &self,
        path: &Path,
        id: &MultipartId,
        bytes: &Bytes,
        over: Over,
        patience: Patience,
    ) -> object_store::Result<PutResult> {
        let part = |number: usize| {
            let start = number * self.part_bytes;
            bytes.slice(start..bytes.len().min(start + self.part_bytes))
        };
        let sending = (0..bytes.len().div_ceil(self.part_bytes)).map(|number| {
            let part = part(number);
            let url = format!("{path}, part {}", number + 1);
            async move {
                let mut trial = Trial::new(patience, Verb::Write, &url);
                loop {
                    match self.objects.put_part(path, id, number, part.clone().into()).await {
                        Ok(done) => {
                            trial.done();
                            return Ok(done);
                        }
                        Err(error) => {
                            let fault = Fault::of(&error);
                            if !matches!(fault.kind, Kind::Transient { .. }) || !trial.again(&fault).await {
                                return Err(error);
                            }
                        }
                    }
                }
            }
        });
        let parts = futures::stream::iter(sending).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
        let completing = if over == Over::Keep { &self.creating } else { &self.objects };
        match completing.complete_multipart(path, id, parts).await {
            Ok(done) => Ok(done),
            Err(source @ object_store::Error::Precondition { .. }) => {
                let path = path.to_string();
                Err(object_store::Error::AlreadyExists { path, source: Box::new(source) })
            }
            Err(error) => Err(error),
        }
    }
}
