//! One fixed layout for a struct: its fields in order (specification section 1, crypto).

/// Declares a struct with a canonical encoding; with `= Kind` it is a payload that is signed.
macro_rules! layout {
    (@struct $(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }

        impl types::Encode for $name {
            fn encode(&self, out: &mut types::Writer) {
                $(out.put(&self.$field);)*
            }
        }

        impl types::Decode for $name {
            fn decode(input: &mut types::Reader<'_>) -> Result<Self, types::DecodeError> {
                Ok(Self { $($field: input.get()?,)* })
            }
        }
    };
    ($(#[$doc:meta])* $name:ident = $kind:ident { $($body:tt)* }) => {
        $crate::layout::layout!(@struct $(#[$doc])* $name { $($body)* });

        impl types::SignedPayload for $name {
            const KIND: types::Kind = types::Kind::$kind;
        }
    };
    ($(#[$doc:meta])* $name:ident { $($body:tt)* }) => {
        $crate::layout::layout!(@struct $(#[$doc])* $name { $($body)* });
    };
}
pub(crate) use layout;

use types::{Decode, DecodeError, Encode, Reader, Writer};

/// A byte string of at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Blob<const MAX: usize>(pub Vec<u8>);

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }
}

impl<const MAX: usize> Decode for Blob<MAX> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.bytes("bytes", MAX)?.to_vec()))
    }
}

/// A yes or no; one byte, 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flag(pub bool);

impl Encode for Flag {
    fn encode(&self, out: &mut Writer) {
        out.u8(u8::from(self.0));
    }
}

impl Decode for Flag {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self(false)),
            1 => Ok(Self(true)),
            _ => Err(DecodeError::Malformed("flag")),
        }
    }
}

/// One byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Code(pub u8);

impl Encode for Code {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.0);
    }
}

impl Decode for Code {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u8()?))
    }
}

/// An amount of bytes or time in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Count(pub u64);

impl Encode for Count {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
}

impl Decode for Count {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

/// The most bytes that something may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cap(pub u32);

impl Encode for Cap {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

impl Decode for Cap {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u32()?))
    }
}

/// Bytes beside a signed core; cheap to copy.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Body(pub std::sync::Arc<[u8]>);

impl Body {
    /// A body of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Body({} bytes)", self.0.len())
    }
}

impl Encode for Body {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }
}

impl Decode for Body {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.bytes("body", types::limits::CONTROL_FRAME_MAX)?.into()))
    }
}

/// One entry a slot, in the order of slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BySlot<T>(pub std::collections::BTreeMap<types::Slot, T>);

impl<T> Default for BySlot<T> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<T: Encode> Encode for BySlot<T> {
    fn encode(&self, out: &mut Writer) {
        out.count(self.0.len());
        for (slot, value) in &self.0 {
            out.put(slot);
            out.put(value);
        }
    }
}

impl<T: Decode> Decode for BySlot<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = std::collections::BTreeMap::new();
        for _ in 0..input.count("entries by slot", types::limits::MEMBERS_MAX)? {
            let slot: types::Slot = input.get()?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= slot) {
                return Err(DecodeError::Malformed("order of slots"));
            }
            map.insert(slot, input.get()?);
        }
        Ok(Self(map))
    }
}
