# bash completion for mtkport: flags and commands from the program itself,
# file names where it has nothing to offer.
_mtkport() {
	local cur opts
	COMPREPLY=()
	cur="${COMP_WORDS[COMP_CWORD]}"
	if [[ "$cur" == -* ]]; then
		opts=$("${COMP_WORDS[@]:0:COMP_CWORD}" "$cur" --generate-bash-completion 2>/dev/null)
	else
		opts=$("${COMP_WORDS[@]:0:COMP_CWORD}" --generate-bash-completion 2>/dev/null | cut -d: -f1)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$opts" -- "$cur")
	if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -o bashdefault -o filenames -F _mtkport mtkport
