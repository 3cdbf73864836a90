package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestCommandsAreDocumented: docs/cli.md has the commands as the program has them.
// `make docs` writes it.
func TestCommandsAreDocumented(t *testing.T) {
	var cli commandLine
	model := newParser(&cli, io.Discard, io.Discard).Model
	holdText(t, "../../docs/cli.md", regexp.MustCompile(`(?s)\n## .*$`), commandsText(model))
}

// commandsText is a list of all commands by group, and a section for each.
func commandsText(model *kong.Application) string {
	var text strings.Builder
	text.WriteString("\n## All commands\n\n| to | command | does |\n|---|---|---|\n")
	for _, group := range commandGroups {
		for _, command := range commandsOf(model, group) {
			fmt.Fprintf(&text, "| %s | [`rollcall %s`](#rollcall-%[2]s) | %s |\n", group.Title, command.Name,
				cell(command.Help))
		}
	}
	for _, group := range commandGroups {
		for _, command := range commandsOf(model, group) {
			writeCommand(&text, command, "##")
		}
	}
	return text.String()
}

// writeCommand writes the section of a command, and those of its parts.
func writeCommand(text *strings.Builder, c *kong.Node, heading string) {
	fmt.Fprintf(text, "\n%s %s\n\n%s\n", heading, c.FullPath(), c.Help)
	if len(c.Children) == 0 {
		fmt.Fprintf(text, "\n```text\n%s\n```\n", synopsis(c))
	}
	if c.Detail != "" {
		fmt.Fprintf(text, "\n%s\n", c.Detail)
	}
	var rows strings.Builder
	for _, p := range c.Positional {
		fmt.Fprintf(&rows, "| `%s` | %s |\n", p.Summary(), cell(p.Help))
	}
	for _, f := range c.Flags {
		if f.Name != "help" && !f.Hidden {
			fmt.Fprintf(&rows, "| `%s` | %s |\n", strings.ReplaceAll(f.String(), "|", `\|`), cell(f.Help))
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(text, "\n| argument or flag | |\n|---|---|\n%s", rows.String())
	}
	for _, child := range c.Children {
		if !child.Hidden {
			writeCommand(text, child, heading+"#")
		}
	}
}

// synopsis is how a command is called: its arguments, and that it has flags.
func synopsis(c *kong.Node) string {
	return "rollcall " + strings.TrimSuffix(c.Summary(), " [flags]") + " [flags]"
}

// cell is a text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
