//! The first lines: the launcher's report, noise, the greeting.

use crate::{
    confine::{Confinement, LaunchLine},
    error::Fault,
    lines::{LineError, Lines},
    spec::SessionSpec,
};
use rectify_base::{Digest, limits::FRAME_MAX_BYTES};
use rectify_protocol::{
    Frame, Manifest, VERSION,
    error::rpc,
    manifest::ProtocolRange,
    message::{Initialize, Initialized, method},
};
use tokio::{io::AsyncRead, sync::mpsc::UnboundedSender};

/// Noise that is forgiven before the greeting, such as the banner of a shell.
const PREAMBLE_BYTES: usize = 64 * 1024;
/// The same in lines.
const PREAMBLE_LINES: usize = 200;
/// Number of the greeting's request; no other request has it.
const GREETING: u64 = 0;

/// Why there is no greeting.
pub(crate) enum Failure {
    /// A fault.
    Fault(Fault),
    /// The stream ended.
    End,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What the two sides tell each other.
pub(crate) struct Handshake {
    launch: String,
    nonce: String,
    offer: Vec<u8>,
    allow_unconfined: bool,
    manifest: Manifest,
    digest: Digest,
}

impl Handshake {
    pub(crate) fn new(spec: &SessionSpec, launch: String, nonce: String) -> Result<Self, Fault> {
        let initialize = Initialize {
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            session: nonce.clone(),
            mode: spec.mode,
            frame_max_bytes: FRAME_MAX_BYTES,
            dirs: spec.dirs.clone(),
        };
        let offer = Frame::request(GREETING, method::INITIALIZE, &initialize)
            .and_then(|frame| frame.to_line())
            .map_err(|e| Fault::System { what: "the greeting cannot be written", reason: e.to_string() })?;
        let allow_unconfined = spec.allow_unconfined || !spec.confine;
        let digest = spec
            .manifest
            .digest()
            .map_err(|e| Fault::System { what: "the manifest has no digest", reason: e.to_string() })?;
        Ok(Self { launch, nonce, offer, allow_unconfined, manifest: spec.manifest.clone(), digest })
    }

    /// What the launcher is to echo.
    pub(crate) fn launch(&self) -> &str {
        &self.launch
    }

    /// Reads what the launcher says: its line comes before anything that the provider can write.
    pub(crate) async fn launched<R: AsyncRead + Unpin, F: Fn()>(
        &self,
        lines: &mut Lines<R, F>,
    ) -> Result<Confinement, Failure> {
        let mut line = Vec::new();
        let no_launcher = || {
            Fault::Launch("what was started is no launcher: its first line is not the expected one".into())
        };
        match lines.next(&mut line, PREAMBLE_BYTES).await {
            Ok(true) => {}
            Ok(false) => return Err(Failure::End),
            Err(_) => return Err(no_launcher().into()),
        }
        let said: LaunchLine = serde_json::from_slice(&line).map_err(|_| no_launcher())?;
        match said {
            LaunchLine { launch, .. } if launch != self.launch => Err(no_launcher().into()),
            LaunchLine { error: Some(reason), .. } => Err(Fault::Launch(reason).into()),
            LaunchLine { confinement: Some(confinement), .. } => {
                if !self.allow_unconfined && !confinement.is_complete() {
                    return Err(Fault::Confinement(confinement.missing()).into());
                }
                Ok(confinement)
            }
            LaunchLine { .. } => Err(no_launcher().into()),
        }
    }

    /// Greets, and reads until the line that echoes the session's number.
    pub(crate) async fn greet<R: AsyncRead + Unpin, F: Fn()>(
        &self,
        lines: &mut Lines<R, F>,
        outgoing: &UnboundedSender<Vec<u8>>,
    ) -> Result<(), Failure> {
        // A closed pipe shows as the end of the stream.
        let _ = outgoing.send(self.offer.clone());
        let mut offered_again = false;
        let (mut noise_bytes, mut noise_lines) = (0, 0);
        let mut line = Vec::new();
        let too_much = || Fault::Preamble { bytes: PREAMBLE_BYTES, lines: PREAMBLE_LINES };
        loop {
            match lines.next(&mut line, PREAMBLE_BYTES).await {
                Ok(true) => {}
                Ok(false) => return Err(Failure::End),
                Err(LineError::TooLarge) => return Err(too_much().into()),
                Err(LineError::Io(e)) => {
                    return Err(Fault::System { what: "the pipe failed", reason: e.to_string() }.into());
                }
            }
            if let Ok(said) = serde_json::from_slice::<LaunchLine>(&line)
                && said.launch == self.launch
            {
                let reason = said.error.unwrap_or_else(|| "the launcher spoke twice".into());
                return Err(Fault::Launch(reason).into());
            }
            match serde_json::from_slice::<Frame>(&line) {
                // Something ate a part of our line, such as a script at login. Once is forgiven.
                Ok(Frame { error: Some(e), method: None, .. }) if e.code == rpc::PARSE && !offered_again => {
                    offered_again = true;
                    let _ = outgoing.send(self.offer.clone());
                    continue;
                }
                Ok(Frame { error: Some(e), method: None, .. }) if e.code == rpc::VERSION => {
                    return Err(Fault::Version(e.message).into());
                }
                Ok(Frame { error: Some(e), method: None, .. }) => return Err(Fault::Refused(e).into()),
                Ok(Frame { id: Some(GREETING), method: None, result: Some(result), .. }) => {
                    let greeting =
                        serde_json::from_str(result.get()).map_err(|e| Fault::AnswerShape(e.to_string()))?;
                    return Ok(self.check(&greeting)?);
                }
                Ok(_) | Err(_) => {}
            }
            noise_bytes += line.len() + 1;
            noise_lines += 1;
            if noise_bytes > PREAMBLE_BYTES || noise_lines > PREAMBLE_LINES {
                return Err(too_much().into());
            }
            let text = String::from_utf8_lossy(&line);
            tracing::warn!(provider = %self.manifest.name, line = %text.escape_debug(), "noise before the greeting");
        }
    }

    fn check(&self, greeting: &Initialized) -> Result<(), Fault> {
        if greeting.session != self.nonce {
            return Err(Fault::Nonce);
        }
        if greeting.protocol != VERSION {
            return Err(Fault::ForeignVersion(greeting.protocol));
        }
        for (what, expected, found) in [
            ("name", &self.manifest.name, &greeting.name),
            ("version", &self.manifest.version, &greeting.version),
        ] {
            if expected != found {
                return Err(Fault::ManifestMismatch {
                    what,
                    expected: expected.clone(),
                    found: found.clone(),
                });
            }
        }
        if self.digest != greeting.manifest {
            return Err(Fault::manifest("manifest digest", &self.digest, &greeting.manifest));
        }
        Ok(())
    }
}
