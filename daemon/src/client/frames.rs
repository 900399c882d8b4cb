//! Server-sent events out of bytes that arrive in any pieces. Pure.

/// What arrived and is not a whole event yet.
#[derive(Default)]
pub(super) struct Frames {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Frames {
    /// Takes a piece and gives the data of every event that it completes.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.pop_if(|byte| *byte == b'\n').is_some() {
                out.extend(self.end_line());
            }
        }
        out
    }

    /// Bytes that wait for the end of their event.
    pub(super) fn waiting(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// Everything but the data is for other readers: comments, ids.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Some(std::mem::take(&mut self.data)).filter(|data| !data.is_empty());
        }
        if let Some(data) = line.strip_prefix(b"data: ") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_the_bytes_are_cut() {
        let text = b":\n\nid: 1\ndata: {\"a\":\ndata: 1}\n\n\nid: 2\ndata: b\n\ndata: c\n";
        for size in 1..=text.len() {
            let mut frames = Frames::default();
            let events: Vec<Vec<u8>> = text.chunks(size).flat_map(|piece| frames.take(piece)).collect();
            assert_eq!(events, [&b"{\"a\":\n1}"[..], b"b"], "in pieces of {size}");
            assert_eq!(frames.waiting(), 1);
        }
    }
}
