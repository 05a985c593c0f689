//! Raw mode of the user's terminal, for as long as a line is being typed.

use std::mem::MaybeUninit;

/// Keeps the terminal of standard input raw until it is dropped.
///
/// Between two keys, too: a terminal that goes back and forth would take Ctrl-U and its like for
/// itself when they come while a key is being handled, as in text that is pasted.
pub(super) struct RawMode {
    before: libc::termios,
}

impl RawMode {
    /// Makes the terminal raw; `None` if there is none.
    pub(super) fn enter() -> Option<RawMode> {
        let mut settings = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: tcgetattr writes a whole termios where it returns 0, and only then is it read.
        let before = unsafe {
            match libc::tcgetattr(libc::STDIN_FILENO, settings.as_mut_ptr()) {
                0 => settings.assume_init(),
                _ => return None,
            }
        };
        let mut raw = before;
        // SAFETY: it changes the settings it is given, and nothing else.
        unsafe { libc::cfmakeraw(&mut raw) };
        // Output stays as it is: lines end with \n.
        raw.c_oflag = before.c_oflag;
        set(&raw).then_some(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        set(&self.before);
    }
}

fn set(settings: &libc::termios) -> bool {
    // SAFETY: the settings are whole and are only read.
    unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, settings) == 0 }
}
