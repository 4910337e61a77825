"""Names that can't be variables: reserved words, what a language keeps for itself, and what our literals stand on."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


R = _words(
    "if else repeat while function for next break in TRUE FALSE NULL Inf NaN NA NA_integer_ NA_real_ "
    "NA_character_ NA_complex_ ..."
)
JULIA = _words(
    "baremodule begin break catch ccall const continue do else elseif end export false finally for function global "
    "if import in isa let local macro module quote return struct true try using where while "
    "Any Dict Inf NaN Set nothing"
)
SCALA = _words(
    "abstract case catch class def do else enum export extends false final finally for forSome given if implicit "
    "import lazy macro match new null object override package private protected return sealed super then this "
    "throw trait try true type val var while with yield _ "
    "Any BigDecimal BigInt Double List Map None Seq Set java"
)
MATLAB = _words(
    "break case catch classdef continue do else elseif end end_try_catch end_unwind_protect endfor endfunction "
    "endif endparfor endswitch endwhile for function global if otherwise parfor persistent return spmd switch try "
    "until unwind_protect unwind_protect_cleanup while "
    "Inf NaN char containers datetime false seconds true"
)
CSHARP = _words(
    "abstract as base bool break byte case catch char checked class const continue decimal default delegate do "
    "double else enum event explicit extern false finally fixed float for foreach goto if implicit in int "
    "interface internal is lock long namespace new null object operator out override params private protected "
    "public readonly ref return sbyte sealed short sizeof stackalloc static string struct switch this throw true "
    "try typeof uint ulong unchecked unsafe ushort using virtual void volatile while await var _ "
    "Dictionary Object System"
)
FSHARP = _words(
    "abstract and as asr assert atomic base begin break checked class component const constraint constructor "
    "continue default delegate do done downcast downto elif else end event exception extern external false finally "
    "fixed for fun function global if in include inherit inline interface internal land lazy let lor lsl lsr lxor "
    "match member method mixin mod module mutable namespace new not null object of open or override parallel "
    "params private process protected public pure rec return select sealed sig static struct tailcall then to "
    "trait true try type upcast use val virtual void volatile when while with yield _ "
    "List Map None System box"
)
POWERSHELL = _words(
    "_ args consolefilename enabledexperimentalfeatures error event eventargs eventsubscriber executioncontext "
    "false foreach home host input iscoreclr islinux ismacos iswindows lastexitcode matches myinvocation "
    "nestedpromptlevel null ofs pid profile psboundparameters pscmdlet pscommandpath psculture psdebugcontext "
    "psedition pshome psitem psscriptroot pssenderinfo psuiculture psversiontable pwd sender shellid stacktrace "
    "switch this true"
)
"""In lower case: PowerShell has no other."""

BASH = _words(
    # What can't be assigned, what ignores an assignment, and what bash would run as code.
    "BASHOPTS BASH_VERSINFO EUID PPID SHELLOPTS UID "
    "BASHPID BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL COMP_WORDBREAKS "
    "DIRSTACK EPOCHREALTIME EPOCHSECONDS FUNCNAME GROUPS HISTCMD LINENO PIPESTATUS RANDOM SECONDS SRANDOM _ "
    "BASH_ENV BASH_LOADABLES_PATH ENV PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4"
)
