//! Stdout as data: buffered, and a reader who went away is no error.

use std::cell::Cell;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};
use std::rc::Rc;

/// Stdout for data. When its reader has gone (`tapetrail sql ... | head`), writes succeed and go nowhere:
/// whoever closed the pipe has seen what they wanted.
pub struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
    is_closed: Rc<Cell<bool>>,
}

impl Output {
    pub fn stdout() -> Output {
        Output {
            stdout: BufWriter::new(io::stdout().lock()),
            is_closed: Rc::default(),
        }
    }

    /// Returns a flag that tells, while a renderer holds the output, whether its reader has gone.
    pub fn closed_flag(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.is_closed)
    }

    fn forgive<T>(&mut self, outcome: io::Result<T>, instead: T) -> io::Result<T> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed.set(true);
                Ok(instead)
            }
            outcome => outcome,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed.get() {
            return Ok(bytes.len());
        }
        let outcome = self.stdout.write(bytes);
        self.forgive(outcome, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed.get() {
            return Ok(());
        }
        let outcome = self.stdout.flush();
        self.forgive(outcome, ())
    }
}

/// Returns how many columns the terminal has, none where stdout is no terminal.
pub fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the pointer, which outlives the call.
    let outcome = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    (outcome == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
