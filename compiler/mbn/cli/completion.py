"""Completion of commands and options by the shell, generated from the parsers.

What enters: a shell's name. What leaves: a script for it. Always holds: options are those that the
parsers have.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from mbn.core.errors import UsageError

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
# mbn: bash completion. Put this into ~/.bashrc: eval "$(mbn completion bash)"
_mbn() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command options
    command=$(basename "${{COMP_WORDS[0]}}")
    if [ "$command" = mbn ]; then
        if [ "$COMP_CWORD" = 1 ]; then
            COMPREPLY=($(compgen -W "{commands}" -- "$word") $(compgen -f -- "$word")); return
        fi
        command=mbn-${{COMP_WORDS[1]}}
    fi
    case "$command $before" in
{choices}
    esac
    case "$command" in
{options}
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _mbn mbn {programs}"""


def script(asked: Sequence[str], commands: Sequence[str]) -> str:
    """The script for a shell. UsageError for another."""
    if len(asked) != 1 or asked[0] not in SHELLS:
        raise UsageError(f"completion {' '.join(asked)}", wanted=" or ".join(SHELLS))
    actions = {name: _actions(name) for name in commands}
    if asked[0] == "fish":
        return _fish(actions)
    choices, options = [], []
    for name, found in actions.items():
        words = " ".join(option for one in found for option in one.option_strings)
        options.append(f'        mbn-{name}) options="{words}" ;;')
        for one in found:
            if one.choices is None:
                continue
            values = " ".join(map(str, one.choices))
            for option in one.option_strings:
                reply = f'COMPREPLY=($(compgen -W "{values}" -- "$word")); return'
                choices.append(f'        "mbn-{name} {option}") {reply} ;;')
    made = _BASH.format(
        commands=" ".join(commands),
        choices="\n".join(choices),
        options="\n".join(options),
        programs=" ".join(f"mbn-{name}" for name in commands),
    )
    if asked[0] == "zsh":
        return "autoload -U +X bashcompinit && bashcompinit\n" + made
    return made


def _actions(name: str) -> list[argparse.Action]:
    """The options of a command that are shown in its help."""
    parser: argparse.ArgumentParser = import_module(f"mbn.cli.{name}").parser()
    return [one for one in parser._actions if one.option_strings and one.help != argparse.SUPPRESS]


def _fish(actions: dict[str, list[argparse.Action]]) -> str:
    lines = ["# mbn: fish completion. mbn completion fish > ~/.config/fish/completions/mbn.fish"]
    for name, found in actions.items():
        lines.append(f"complete -c mbn -n __fish_use_subcommand -a {name}")
        for one in found:
            words = " ".join(
                f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                for option in one.option_strings
            )
            if one.choices is not None:
                words += f" -x -a '{' '.join(map(str, one.choices))}'"
            lines.append(f"complete -c mbn-{name} {words}")
            lines.append(f"complete -c mbn -n '__fish_seen_subcommand_from {name}' {words}")
    return "\n".join(lines)
