package main

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commandGroups are the groups of commands in the help. Those of the last are only named.
var commandGroups = []kong.Group{
	{Key: "try", Title: "Try"},
	{Key: "run", Title: "Run"},
	{Key: "look", Title: "Look"},
	{Key: "change", Title: "Change"},
	{Key: "about", Title: "More"},
}

const examplesOfHelp = `
Examples
  rollcall init && rollcall dev            settings of your own, and everything running here
  rollcall customers list --store s1       who is on the list of a store
  rollcall doctor --email ava@example.com  why a person is on a list, or not
  rollcall events tail                     what arrives, and what becomes of it
  rollcall events list --status failed     what went wrong
  rollcall backfill start clerk --follow   import all users
`

// newParser makes the parser of the command line.
func newParser(cli *commandLine, stdout, stderr io.Writer) *kong.Kong {
	cli.Customers.List.Filters = filterFlags()
	return kong.Must(cli,
		kong.Name("rollcall"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
		kong.ExplicitGroups(append(slices.Clone(groups), commandGroups...)),
		kong.Help(help),
		kong.Vars{"data": defaultData()})
}

const helpWidth = 100

// meant is what a person means: no command, help and --version are questions too.
func meant(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help" && len(args) == 2 && args[1] == "settings":
		return []string{"settings"}
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version" || args[0] == "-v":
		return []string{"version"}
	}
	return args
}

// help is short: settings, which every command accepts, are only named.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	if node == nil {
		return allHelp(ctx.Stdout, ctx.Model)
	}
	for _, flag := range ctx.Model.Flags {
		flag.Hidden = flag.Hidden || len(flag.Envs) > 0
	}
	for n := range withParts(node) { // their group is that of the command
		n.Group = nil
	}
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	name, _, _ := strings.Cut(ctx.Command(), " ")
	return usedSettings(ctx.Stdout, ctx.Model, name)
}

// withParts are a command and its parts.
func withParts(n *kong.Node) iter.Seq[*kong.Node] {
	return func(yield func(*kong.Node) bool) {
		_ = kong.Visit(n, func(v kong.Visitable, next kong.Next) error {
			if part, ok := v.(*kong.Node); ok {
				yield(part)
			}
			return next(nil)
		})
	}
}

// allHelp names all commands.
func allHelp(w io.Writer, model *kong.Application) error {
	fmt.Fprintf(w, "Usage: rollcall COMMAND\n\n%s\n\n", description)
	var more []string
	for _, group := range commandGroups {
		title := group.Title
		for _, c := range commandsOf(model, group) {
			if group.Key == "about" {
				more = append(more, c.Name)
				continue
			}
			fmt.Fprintf(w, "  %-8s%-11s%s\n", title, c.Name, c.Help)
			title = ""
		}
	}
	fmt.Fprintf(w, "  %-8s%s\n", "More", strings.Join(more, ", "))
	_, err := fmt.Fprint(w, examplesOfHelp, `
"rollcall help COMMAND" explains a command, "rollcall help settings" all settings.
`)
	return err
}

// commandsOf are the commands of a group.
func commandsOf(model *kong.Application, group kong.Group) (all []*kong.Node) {
	for _, c := range model.Children {
		if !c.Hidden && c.Group != nil && c.Group.Key == group.Key {
			all = append(all, c)
		}
	}
	return all
}

// usedSettings names the settings that a command uses.
func usedSettings(w io.Writer, model *kong.Application, command string) error {
	uses, listed := groupsOf[command]
	names := map[string][]string{}
	for _, flag := range model.Flags {
		if len(flag.Envs) > 0 {
			names[flag.Group.Key] = append(names[flag.Group.Key], flag.Envs[0])
		}
	}
	var text strings.Builder
	for _, group := range groups {
		if !listed || slices.Contains(uses, group.Key) {
			title := group.Title
			for _, line := range wrap(strings.Join(names[group.Key], ", "), helpWidth-17) {
				fmt.Fprintf(&text, "  %-14s %s\n", title, line)
				title = ""
			}
		}
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nSettings, also as flags (see \"rollcall help settings\"):\n%s", text.String())
	return err
}

type settingsCmd struct{}

// Run explains all settings.
func (settingsCmd) Run(e *env) error {
	group := ""
	fmt.Fprintln(e.out, "Each setting is an environment variable, a line of "+dotEnv+" (see init), or a flag.")
	for _, s := range settingsOfModel() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(e.out, "\n%s\n", group)
		}
		fmt.Fprintf(e.out, "  %s  %s\n", s.variable, s.flag)
		for _, line := range wrap(s.help, helpWidth-6) {
			fmt.Fprintf(e.out, "      %s\n", line)
		}
	}
	_, err := fmt.Fprintln(e.out, "\nTraces: see OTEL_EXPORTER_OTLP_ENDPOINT in docs/metrics.md.")
	return err
}
