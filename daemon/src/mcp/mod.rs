//! To be written.
/// x
pub async fn stdio<F,Fut>(_c: F)->Result<(),crate::failure::Failure> where F: Fn(String,Option<String>,serde_json::Value)->Fut, Fut: Future<Output=Result<serde_json::Value, clone_schema::Fault>> { Ok(()) }
