package main

import (
	"fmt"
	"io"
	"os"

	"github.com/posener/complete"
	"github.com/willabides/kongplete"

	"rollcall/store"
)

type completionCmd struct {
	Shell string `arg:"" name:"shell" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown below the usage.
func (completionCmd) Help() string {
	return `To complete commands in this shell: source <(rollcall completion bash), or zsh; in fish:
rollcall completion fish | source. Put that line into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish to
keep it.`
}

// The shell runs this program, with what is typed so far in COMP_LINE.
var completions = map[string]string{
	"bash": "complete -C %[1]s rollcall\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -C %[1]s rollcall\n",
	"fish": `function __complete_rollcall
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    %[1]s
end
complete -f -c rollcall -a "(__complete_rollcall)"
`,
}

func (c completionCmd) Run(e *env) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, completions[c.Shell], quote(program))
	return err
}

// answerShell answers a shell that completes a command; it tells whether one did.
func answerShell(stdout io.Writer) bool {
	if os.Getenv("COMP_LINE") == "" {
		return false
	}
	parser := newParser(&commandLine{}, stdout, io.Discard)
	for _, flag := range parser.Model.Flags { // the many settings would bury the flags
		flag.Hidden = flag.Hidden || len(flag.Envs) > 0 && flag.Group.Key != "servers"
	}
	command, err := kongplete.Command(parser, kongplete.WithPredictors(map[string]complete.Predictor{
		"source": complete.PredictSet(store.Sources...),
		"status": complete.PredictSet("pending", "processed", "ignored", "failed"),
		"type":   complete.PredictSet(eventTypes()...),
	}))
	if err != nil {
		return true
	}
	line := complete.New("rollcall", command)
	line.Out = stdout
	return line.Complete()
}
