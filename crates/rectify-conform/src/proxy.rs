//! What a bad line does to bytes on their way: cuts them, delays them, drops some, or stops.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What happens to what is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// So many bytes a write; 0: as they come.
    pub split: usize,
    /// Before each write.
    pub delay: Duration,
    /// So many bytes from the beginning are lost.
    pub drop: usize,
}

/// The way to the provider.
pub(crate) struct Outgoing<W> {
    inner: W,
    line: Line,
}

impl<W: Write> Outgoing<W> {
    pub(crate) fn new(inner: W, line: Line) -> Self {
        Self { inner, line }
    }
}

impl<W: Write> Write for Outgoing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lost = self.line.drop.min(bytes.len());
        self.line.drop -= lost;
        let rest = bytes.get(lost..).unwrap_or_default();
        let size = if self.line.split == 0 { rest.len().max(1) } else { self.line.split };
        for piece in rest.chunks(size) {
            if !self.line.delay.is_zero() {
                thread::sleep(self.line.delay);
            }
            self.inner.write_all(piece)?;
            self.inner.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The way from the provider; nothing is read while it is frozen.
pub(crate) struct Incoming<R> {
    inner: R,
    frozen: Arc<AtomicBool>,
}

impl<R: Read> Incoming<R> {
    pub(crate) fn new(inner: R, frozen: Arc<AtomicBool>) -> Self {
        Self { inner, frozen }
    }
}

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.frozen.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(5));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Each write by itself.
    #[derive(Default)]
    struct Pieces(Vec<Vec<u8>>);

    impl Write for &mut Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_are_cut_and_dropped() {
        let mut pieces = Pieces::default();
        let line = Line { split: 1, drop: 2, ..Line::default() };
        let mut out = Outgoing::new(&mut pieces, line);
        out.write_all(b"abcd").unwrap();
        out.write_all(b"e").unwrap();
        assert_eq!(pieces.0, [b"c", b"d", b"e"]);
    }

    #[test]
    fn a_frozen_line_gives_nothing_until_it_thaws() {
        let frozen = Arc::new(AtomicBool::new(true));
        let mut incoming = Incoming::new(&b"x"[..], Arc::clone(&frozen));
        let reading = thread::spawn(move || {
            let mut byte = [0];
            incoming.read(&mut byte).map(|count| (count, byte))
        });
        assert!(!reading.is_finished());
        frozen.store(false, Ordering::Release);
        assert_eq!(reading.join().unwrap().unwrap(), (1, [b'x']));
    }
}
