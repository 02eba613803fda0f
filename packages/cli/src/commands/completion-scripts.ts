export const shells = ["bash", "zsh", "fish", "powershell"] as const;

export type Shell = (typeof shells)[number];

/**
 * Completion scripts by shell. Each calls `sazabi __complete`, which prints words with descriptions. If it prints
 * nothing, the shell completes file names.
 */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# Completion of sazabi for bash. In ~/.bashrc: source <(sazabi completion bash)
_sazabi() {
  local line word char mark n=0 quote='' head='' rest="\${COMP_LINE:0:COMP_POINT}"
  local breaks="\${COMP_WORDBREAKS//[^:=]/}"
  local -a typed=('')
  COMPREPLY=()
  # Bash takes words apart at : and =, so they are read from the line, as they were typed.
  while [[ -n $rest ]]; do
    char="\${rest:0:1}" rest="\${rest:1}"
    if [[ $char == \\\\ && $quote != \\' ]]; then
      typed[n]+="$char\${rest:0:1}" rest="\${rest:1}"
    elif [[ -z $quote && $char == [[:space:]] ]]; then
      [[ -n \${typed[n]} ]] && typed[++n]=''
    else
      typed[n]+="$char"
      if [[ $char == "$quote" ]]; then quote=''; elif [[ -z $quote && $char == [\\'\\"] ]]; then quote="$char"; fi
    fi
  done
  word="\${typed[n]}"
  # What stands before the last of them stays on the line.
  [[ -z $quote && -n $breaks ]] && head="\${word%"\${word##*[$breaks]}"}"
  while IFS= read -r line; do
    word="\${line%%$'\\t'*}"
    case $quote in
      \\') [[ $word == *\\'* ]] && continue ;;
      \\") for mark in \\\\ \\" \\$ \\\`; do word="\${word//"$mark"/\\\\"$mark"}"; done ;;
      *) printf -v word '%q' "$word" ;;
    esac
    COMPREPLY+=("\${word#"$head"}")
  done < <(command sazabi __complete "\${typed[@]:1}" 2>/dev/null </dev/null)
}
complete -o default -F _sazabi sazabi
`,

  zsh: `#compdef sazabi
# Completion of sazabi for zsh. In ~/.zshrc, after compinit: source <(sazabi completion zsh)
_sazabi() {
  local line
  local -a found shown
  while IFS= read -r line; do
    found+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done < <(command sazabi __complete "\${(@)words[2,CURRENT]}" 2>/dev/null </dev/null)
  if (( \${#found} )); then compadd -l -d shown -a found; else _files; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _sazabi "$@"; else compdef _sazabi sazabi; fi
`,

  fish: `# Completion of sazabi for fish. sazabi completion fish > ~/.config/fish/completions/sazabi.fish
function __sazabi_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l found (command sazabi __complete $before[2..-1] "$current" 2>/dev/null </dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c sazabi -f -a '(__sazabi_complete)'
`,

  powershell: `# Completion of sazabi for PowerShell. In $PROFILE: sazabi completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName sazabi -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # What stands behind the cursor is no part of the word before it.
    $elements = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition })
    $words = @($elements | Select-Object -Skip 1 | ForEach-Object {
        $isText = $_ -is [System.Management.Automation.Language.StringConstantExpressionAst]
        if ($isText) { $_.Value } else { $_.Extent.Text }
    })
    # After a space a new word begins. An empty argument would be lost on the way.
    if ($elements[-1].Extent.EndOffset -lt $cursorPosition) { $words += "''" }
    $encoding = [Console]::OutputEncoding
    try { [Console]::OutputEncoding = [System.Text.Encoding]::UTF8 } catch { }
    try {
        & sazabi __complete @words 2>$null | ForEach-Object {
            $word, $about = $_ -split "\`t", 2
            $typed = $word
            # Typographic quotes end a string, too.
            if ($word -match '[^\\w./:=+-]') { $typed = "'" + ($word -replace "['\\u2018-\\u201b]", '$0$0') + "'" }
            if (-not $about) { $about = $word }
            [System.Management.Automation.CompletionResult]::new($typed, $word, 'ParameterValue', $about)
        }
    } finally {
        try { [Console]::OutputEncoding = $encoding } catch { }
    }
}
`,
};
