#compdef mtkport
# zsh completion for mtkport: commands and flags from the program itself, then
# file names.
_mtkport() {
	local -a opts
	local cur=${words[-1]}
	if [[ "$cur" == -* ]]; then
		opts=("${(@f)$(${words[@]:0:#words[@]-1} ${cur} --generate-bash-completion 2>/dev/null)}")
	else
		opts=("${(@f)$(${words[@]:0:#words[@]-1} --generate-bash-completion 2>/dev/null)}")
	fi
	[[ -n "${opts[1]}" ]] && _describe 'mtkport' opts
	_files
}
compdef _mtkport mtkport
