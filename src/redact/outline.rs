//! Where the values of a redacted message stand, noted by the pass that copied it: whoever reads the message after
//! that need not look at its text a second time.
//!
//! A node for each value, in the order of the text: a container comes before what is in it, and names the node after
//! all of that. So what a reader has no use for is skipped in one step, however long it is.

use super::escape::unescape;

/// Longer messages have no outline: it can be ten times as long as the message (`[0,0,0,..]`). Positions in what
/// is written of shorter ones fit in 31 bits by far.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;

/// The outline of one text. Reuse it for the next.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    nodes: Vec<Node>,
    /// The key of the value that comes next, while recording.
    key: Span,
    /// The innermost container that is still open, while recording.
    open: u32,
    /// How long the text is; 0 until it is complete.
    text_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// A member's key; empty for the elements of a list.
    key: Span,
    value: Span,
    /// The node after this value and what is in it; of a container that is still open, the one that it is in.
    next: u32,
}

/// A stretch of the text, quotes and braces included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    /// Its highest bit says whether this is a string with escapes.
    end: u32,
}

impl Span {
    const ESCAPED: u32 = 1 << 31;

    #[inline(always)]
    pub(super) fn new(start: usize, end: usize, is_escaped: bool) -> Span {
        Span {
            start: start as u32,
            end: end as u32 | u32::from(is_escaped) << 31,
        }
    }

    #[inline(always)]
    fn start(self) -> usize {
        self.start as usize
    }

    #[inline(always)]
    fn end(self) -> usize {
        (self.end & !Span::ESCAPED) as usize
    }

    #[inline(always)]
    fn is_escaped(self) -> bool {
        self.end & Span::ESCAPED != 0
    }
}

/// Hears from a pass what it wrote, in the order of the output and with positions in it.
pub(super) trait Recorder {
    /// The key of the next value.
    fn key(&mut self, key: Span);
    /// A value without others in it.
    fn leaf(&mut self, value: Span);
    /// A container begins.
    fn open(&mut self, start: usize);
    /// The innermost container ends.
    fn close(&mut self, end: usize);
}

/// Records nothing: for texts inside of strings, and for callers who read the output as text.
pub(super) struct NoOutline;

impl Recorder for NoOutline {
    #[inline(always)]
    fn key(&mut self, _: Span) {}
    #[inline(always)]
    fn leaf(&mut self, _: Span) {}
    #[inline(always)]
    fn open(&mut self, _: usize) {}
    #[inline(always)]
    fn close(&mut self, _: usize) {}
}

impl Recorder for &mut Outline {
    #[inline(always)]
    fn key(&mut self, key: Span) {
        self.key = key;
    }

    #[inline(always)]
    fn leaf(&mut self, value: Span) {
        self.push(value, self.nodes.len() as u32 + 1);
    }

    #[inline(always)]
    fn open(&mut self, start: usize) {
        let node = self.nodes.len() as u32;
        self.push(Span::new(start, start, false), self.open);
        self.open = node;
    }

    #[inline(always)]
    fn close(&mut self, end: usize) {
        let after = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(self.open as usize) {
            node.value.end = end as u32;
            self.open = std::mem::replace(&mut node.next, after);
        }
    }
}

impl Outline {
    /// Forgets the text before.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.key = Span::default();
        self.open = 0;
        self.text_bytes = 0;
    }

    /// The text is complete, and no other than what was recorded.
    pub(super) fn finish(&mut self, text: &str) {
        self.text_bytes = text.len();
    }

    /// Gives back memory beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.nodes.clear();
        self.nodes.shrink_to(bytes / size_of::<Node>());
    }

    /// `text`, which must be the one that this outline was recorded with, and its outline. None where there is none:
    /// the text is too long, or was changed afterwards.
    pub fn of<'t>(&'t self, text: &'t str) -> Option<Outlined<'t>> {
        let nodes = self.nodes.as_slice();
        let is_of_text = self.text_bytes > 0 && self.text_bytes == text.len();
        is_of_text.then_some(Outlined { text, nodes })
    }

    #[inline(always)]
    fn push(&mut self, value: Span, next: u32) {
        // The elements of a list have no key.
        let key = std::mem::take(&mut self.key);
        self.nodes.push(Node { key, value, next });
    }
}

/// A text and its outline.
#[derive(Debug, Clone, Copy)]
pub struct Outlined<'t> {
    text: &'t str,
    nodes: &'t [Node],
}

impl<'t> Outlined<'t> {
    /// The text, all of it.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_, 't> {
        Value {
            outlined: self,
            node: 0,
        }
    }
}

/// A value of an outlined text: as small as can be, because it is handed through many calls.
#[derive(Debug, Clone, Copy)]
pub struct Value<'o, 't> {
    outlined: &'o Outlined<'t>,
    node: usize,
}

/// A string as the text has it.
#[derive(Debug, Clone, Copy)]
pub enum Quoted<'t> {
    /// The inside of one without escapes, which means what it says.
    Plain(&'t str),
    /// One with escapes, in its quotes.
    Escaped(&'t str),
}

impl<'o, 't> Value<'o, 't> {
    #[inline(always)]
    fn node(self) -> &'t Node {
        &self.outlined.nodes[self.node]
    }

    /// The text of this value alone.
    #[inline]
    pub fn text(self) -> &'t str {
        let span = self.node().value;
        &self.outlined.text[span.start()..span.end()]
    }

    /// The first byte of its text, which tells its type.
    #[inline]
    pub fn first_byte(self) -> u8 {
        self.outlined.text.as_bytes()[self.node().value.start()]
    }

    /// A value that is a string.
    #[inline]
    pub fn quoted(self) -> Quoted<'t> {
        quoted(self.outlined.text, self.node().value)
    }

    /// The key of a member.
    #[inline]
    pub fn key(self) -> Quoted<'t> {
        quoted(self.outlined.text, self.node().key)
    }

    /// The members of an object or the elements of a list; nothing else has any.
    #[inline]
    pub fn children(self) -> Children<'o, 't> {
        Children {
            outlined: self.outlined,
            next: self.node + 1,
            end: self.node().next as usize,
        }
    }

    /// The first member of that name.
    pub fn member(self, name: &str) -> Option<Value<'o, 't>> {
        let is_named = |key: Quoted<'_>| match key {
            Quoted::Plain(key) => key == name,
            Quoted::Escaped(key) => unescape(&key[1..key.len() - 1]) == name,
        };
        self.children().find(|child| is_named(child.key()))
    }
}

/// What is in a container, in the order of the text.
#[derive(Debug, Clone)]
pub struct Children<'o, 't> {
    outlined: &'o Outlined<'t>,
    next: usize,
    /// The node after all of them.
    end: usize,
}

impl<'o, 't> Iterator for Children<'o, 't> {
    type Item = Value<'o, 't>;

    #[inline]
    fn next(&mut self) -> Option<Value<'o, 't>> {
        if self.next >= self.end {
            return None;
        }
        let child = Value {
            outlined: self.outlined,
            node: self.next,
        };
        self.next = child.node().next as usize;
        Some(child)
    }
}

#[inline]
fn quoted(text: &str, string: Span) -> Quoted<'_> {
    let (start, end) = (string.start(), string.end());
    match string.is_escaped() {
        false => Quoted::Plain(&text[start + 1..end - 1]),
        true => Quoted::Escaped(&text[start..end]),
    }
}
