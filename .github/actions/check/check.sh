#!/usr/bin/env bash
# Runs `diag check` for the action beside this file: the report goes to the step summary, the findings to their lines, and
# the snapshots with the reports into a folder that becomes an artifact. Ends with diag's own exit code.
set -euo pipefail

target=${INPUT_TARGET:?the input target is missing: a folder of snapshots, or a file}
base=${INPUT_BASE:-}
policy=${INPUT_POLICY:-}
fail_on=${INPUT_FAIL_ON:-}
diag=${INPUT_DIAG:-diag}

kept=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/diag-check.XXXXXX")

# What is kept of one side: all snapshots of a folder, or the file.
keep() {
    local from=$1 to=$kept/$2
    mkdir -p "$to"
    if [[ -d $from ]]; then
        find "$from" -maxdepth 1 -type f -name '*.diag' -exec cp {} "$to/" \;
    elif [[ -f $from ]]; then
        cp "$from" "$to/"
    fi
}

arguments=()
if [[ -n $base ]]; then
    keep "$base" base
    arguments+=("$base")
fi
keep "$target" target
arguments+=("$target")
[[ -z $policy ]] || arguments+=(--policy "$policy")
[[ -z $fail_on ]] || arguments+=(--fail-on "$fail_on")

code=0
"$diag" check "${arguments[@]}" \
    --write markdown="$kept/summary.md" --write github="$kept/annotations.txt" --write json="$kept/report.json" \
    2>"$kept/errors.txt" || code=$?
cat "$kept/errors.txt" >&2

if [[ -f $kept/summary.md ]]; then
    cat "$kept/summary.md" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
    # A line that begins with two colons is an annotation.
    cat "$kept/annotations.txt"
else
    printf '## diag: no report (exit code %s)\n\n```text\n%s\n```\n' "$code" "$(cat "$kept/errors.txt")" \
        >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
    echo "::error title=diag::diag check ended with $code and no report, see the log"
fi
{
    echo "exit-code=$code"
    echo "kept=$kept"
} >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
