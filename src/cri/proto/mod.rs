//! The messages of CRI v1 that this client uses.
//!
//! They follow `runtime/v1/api.proto` of k8s.io/cri-api (package `runtime.v1`):
//! each message and field has the name it has there, each tag is its field
//! number. They are written by hand, since protoc need not be there to build;
//! what nothing uses is left out (statistics, events, checkpoints, Windows), and
//! so are the fields of later versions that nobody reads. The order of fields is
//! that of their file.
//!
//! Serde writes them in protobuf's JSON mapping (`json`) and reads the
//! configuration messages by their snake-case names, as crictl does.

mod container;
mod image;
mod json;
mod pod;
mod runtime;
mod shared;

pub use container::*;
pub use image::*;
pub use pod::*;
pub use runtime::*;

use std::fmt::Debug;

use prost::Message;

/// A request, with where it goes and what comes back.
pub trait Call: Message + Debug + 'static {
    /// Path of the method in HTTP/2.
    const PATH: &'static str;
    /// The answer; `()` is the empty message.
    type Answer: Message + Debug + Default + 'static;
}

macro_rules! calls {
    ($service:literal: $($method:literal $request:ty => $answer:ty;)*) => {$(
        impl Call for $request {
            const PATH: &'static str = concat!("/runtime.v1.", $service, "/", $method);
            type Answer = $answer;
        }
    )*};
}

calls! { "RuntimeService":
    "Version" VersionRequest => VersionResponse;
    "Status" StatusRequest => StatusResponse;
    "RuntimeConfig" RuntimeConfigRequest => RuntimeConfigResponse;
    "RunPodSandbox" RunPodSandboxRequest => RunPodSandboxResponse;
    "StopPodSandbox" StopPodSandboxRequest => ();
    "RemovePodSandbox" RemovePodSandboxRequest => ();
    "PodSandboxStatus" PodSandboxStatusRequest => PodSandboxStatusResponse;
    "ListPodSandbox" ListPodSandboxRequest => ListPodSandboxResponse;
    "CreateContainer" CreateContainerRequest => CreateContainerResponse;
    "StartContainer" StartContainerRequest => ();
    "StopContainer" StopContainerRequest => ();
    "RemoveContainer" RemoveContainerRequest => ();
    "ListContainers" ListContainersRequest => ListContainersResponse;
    "ContainerStatus" ContainerStatusRequest => ContainerStatusResponse;
    "ReopenContainerLog" ReopenContainerLogRequest => ();
    "ExecSync" ExecSyncRequest => ExecSyncResponse;
    "Exec" ExecRequest => ExecResponse;
}

calls! { "ImageService":
    "ListImages" ListImagesRequest => ListImagesResponse;
    "ImageStatus" ImageStatusRequest => ImageStatusResponse;
    "PullImage" PullImageRequest => PullImageResponse;
    "RemoveImage" RemoveImageRequest => ();
}
