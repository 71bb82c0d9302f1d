//! Questions on a terminal. Esc and Ctrl-C are the error `Interrupted`, wherever they are pressed.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    pin::pin,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::{runtime::Runtime, signal::unix};

/// Questions are asked on stderr and answered on stdin.
pub(in crate::cli) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The terminal while there is a wizard: keys that are pressed between two questions are neither
/// shown nor signals, so that none is lost. It is as before when this is dropped.
pub(super) struct Terminal {
    before: Termios,
    runtime: Runtime,
    interrupts: unix::Signal,
}

impl Terminal {
    pub(super) fn new(runtime: Runtime) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let entered = runtime.enter();
        let interrupts = unix::signal(unix::SignalKind::interrupt())?;
        drop(entered);
        let this = Self { before, runtime, interrupts };
        this.listen_for_signals(false)?;
        Ok(this)
    }

    fn listen_for_signals(&self, listen: bool) -> io::Result<()> {
        let mut modes = self.before.clone();
        modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
        if !listen {
            modes.local_modes -= LocalModes::ISIG;
        }
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &modes)?)
    }

    /// Does something that takes a while, with a sign that it does.
    pub(super) fn work<T, E: Display>(
        &mut self,
        title: &str,
        work: impl Future<Output = Result<T, E>>,
        done: impl FnOnce(&T) -> String,
    ) -> io::Result<Result<T, E>> {
        let spinner = cliclack::spinner();
        spinner.start(title);
        self.listen_for_signals(true)?;
        let interrupts = &mut self.interrupts;
        let ended = self.runtime.block_on(async {
            let mut work = pin!(work);
            tokio::select! {
                ended = &mut work => Some(ended),
                _ = interrupts.recv() => None,
            }
        });
        self.listen_for_signals(false)?;
        match &ended {
            Some(Ok(it)) => spinner.stop(done(it)),
            Some(Err(why)) => {
                spinner.error(title);
                cliclack::log::remark(cliclack::termwrap(&why.to_string(), 6))?;
            }
            None => spinner.cancel(title),
        }
        ended.ok_or_else(|| io::ErrorKind::Interrupted.into())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// One of some things, each with a hint.
pub(super) fn choose<T: Clone + Eq>(
    prompt: &str,
    items: &[(T, impl Display, impl Display)],
) -> io::Result<T> {
    cliclack::select(prompt).items(items).max_rows(rows()).interact()
}

/// One of many things, found by typing.
pub(super) fn search<T: Clone + Eq>(
    prompt: &str,
    items: &[(T, impl Display, impl Display)],
) -> io::Result<T> {
    cliclack::select(prompt).items(items).filter_mode().max_rows(rows()).interact()
}

/// So many items that the question fits on the screen: what is above it could not be drawn over.
fn rows() -> usize {
    let screen = tcgetwinsize(io::stderr()).map_or(24, |it| usize::from(it.ws_row));
    screen.saturating_sub(8).clamp(3, 12)
}

pub(super) fn confirm(prompt: &str, initial: bool) -> io::Result<bool> {
    cliclack::confirm(prompt).initial_value(initial).interact()
}

/// A text, with what is taken when nothing is typed.
pub(super) fn text(
    prompt: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<(), String> + 'static,
) -> io::Result<String> {
    let check = move |it: &String| check(it.trim());
    let mut input = cliclack::input(prompt).validate(check);
    if let Some(default) = default {
        input = input.placeholder(default).default_input(default);
    }
    Ok(input.interact::<String>()?.trim().to_owned())
}

/// A text that may be left out.
pub(super) fn optional(
    prompt: &str,
    placeholder: &str,
    check: impl Fn(&str) -> Result<(), String> + 'static,
) -> io::Result<Option<String>> {
    let check = move |it: &String| if it.trim().is_empty() { Ok(()) } else { check(it.trim()) };
    let input = cliclack::input(prompt).placeholder(placeholder).required(false);
    let text: String = input.validate(check).interact()?;
    Ok(Some(text.trim().to_owned()).filter(|it| !it.is_empty()))
}

/// A text that nobody sees.
pub(super) fn secret(prompt: &str) -> io::Result<String> {
    let check = |it: &String| {
        if it.chars().any(char::is_control) {
            Err("that holds a control character")
        } else {
            Ok(())
        }
    };
    let text = cliclack::password(prompt).mask('*').validate(check).interact()?;
    Ok(text.trim().to_owned())
}

/// A text that is one of many, or a new one. Empty where there is a placeholder.
pub(super) fn suggested(prompt: &str, placeholder: &str, known: Vec<String>) -> io::Result<String> {
    let input = cliclack::input(prompt).required(placeholder.is_empty()).placeholder(placeholder);
    // A list that is longer than the screen could not be drawn over.
    let fitting = move |query: &str| -> Vec<String> {
        known.iter().filter(|it| it.contains(query)).take(6).cloned().collect()
    };
    let text: String = input.autocomplete(fitting).interact()?;
    Ok(text.trim().to_owned())
}
