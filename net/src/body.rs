//! A bulk body in parts, so that a header and a chunk need not be copied into one buffer.

use bytes::Bytes;

/// Parts that are sent one after the other as one body.
#[derive(Debug, Clone, Default)]
pub struct Body(Vec<Bytes>);

impl Body {
    /// Length of all parts together, in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn parts(&self) -> &[Bytes] {
        &self.0
    }
}

impl From<Bytes> for Body {
    fn from(part: Bytes) -> Self {
        Self(vec![part])
    }
}

impl From<Vec<u8>> for Body {
    fn from(part: Vec<u8>) -> Self {
        Self(vec![part.into()])
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(parts: Vec<Bytes>) -> Self {
        Self(parts)
    }
}

impl From<&'static [u8]> for Body {
    fn from(part: &'static [u8]) -> Self {
        Self(vec![Bytes::from_static(part)])
    }
}
