package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commandGroups are the groups of commands in the help.
var commandGroups = []kong.Group{
	{Key: "try", Title: "Try it:"},
	{Key: "run", Title: "Run it:"},
	{Key: "look", Title: "Look:"},
	{Key: "change", Title: "Change:"},
	{Key: "about", Title: "About:"},
}

const examplesOfHelp = `
Examples:
  rollcall demo                            see it work, with some weeks of a marketplace
  rollcall dev                             run it here, without installing servers
  rollcall doctor ada@example.com          why is this person on a list, or not?
  rollcall events list --status failed     what went wrong
  rollcall backfill start clerk --follow   import all users
  rollcall config                          every setting and what is wrong with it
`

// newParser makes the parser of the command line.
func newParser(cli *commandLine, stdout, stderr io.Writer) *kong.Kong {
	return kong.Must(cli,
		kong.Name("rollcall"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(append(slices.Clone(groups), commandGroups...)),
		kong.Help(help),
		kong.Vars{"data": defaultData()})
}

// meant is what a person means: no command, help and --version are questions too.
func meant(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version" || args[0] == "-v":
		return []string{"version"}
	}
	return args
}

// help shows only the settings that the command uses, though it accepts all. Without a
// command it shows none, but examples.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	name, _, _ := strings.Cut(ctx.Command(), " ")
	uses, listed := groupsOf[name]
	for _, flag := range ctx.Model.Flags {
		setting := flag.Group != nil
		flag.Hidden = flag.Hidden || setting && (name == "" || listed && !slices.Contains(uses, flag.Group.Key))
	}
	err := kong.DefaultHelpPrinter(options, ctx)
	if err == nil && name == "" {
		_, err = fmt.Fprint(ctx.Stdout, examplesOfHelp)
	}
	return err
}
