package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type manCmd struct{}

// Help is shown below the usage.
func (manCmd) Help() string {
	return `To read it: rollcall man | man -l -. To install it: rollcall man >/usr/local/share/man/man1/rollcall.1`
}

// Run prints the manual page, in the language of man (7).
func (manCmd) Run(e *env, line *kong.Context) error {
	p := page{e.out}
	p.line(".TH ROLLCALL 1 \"\" \"rollcall %s\"", roff(versionText()))
	p.section("NAME")
	p.line("rollcall \\- keep the customer lists of a course marketplace correct")
	p.section("SYNOPSIS")
	p.line("\\fBrollcall\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIFLAGS\\fR]")
	p.section("DESCRIPTION")
	p.text(description)
	p.section("COMMANDS")
	for _, group := range commandGroups {
		for _, c := range commandsOf(line.Model, group) {
			p.command(c)
		}
	}
	p.section("ENVIRONMENT")
	p.text("Each setting is an environment variable, a line of .env in the folder where a command runs, or a flag.")
	for _, s := range settingsOfModel() {
		p.item(s.variable+", "+s.flag, s.help)
	}
	p.section("EXIT STATUS")
	p.item("0", "Done.")
	p.item("1", "Failed, or found something: doctor a problem or a warning, audit a difference.")
	p.item("2", "The command line is not valid.")
	p.section("EXAMPLES")
	p.line(".nf")
	for text := range strings.Lines(strings.TrimPrefix(examplesOfHelp, "\nExamples\n")) {
		p.line("%s", roff(strings.TrimSpace(text)))
	}
	p.line(".fi")
	return nil
}

// page writes a manual page.
type page struct{ w io.Writer }

func (p page) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

func (p page) section(name string) { p.line(".SH %s", name) }

// text writes paragraphs.
func (p page) text(text string) {
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		p.line("%s", roff(strings.Join(strings.Fields(paragraph), " ")))
	}
}

// item writes a name with its explanation.
func (p page) item(name, text string) {
	p.line(".TP\n\\fB%s\\fR", roff(name))
	p.line("%s", roff(strings.Join(strings.Fields(text), " ")))
}

// command explains a command and its parts.
func (p page) command(c *kong.Node) {
	p.line(".SS %s", roff(c.FullPath()))
	p.text(c.Help)
	if c.Detail != "" {
		p.line(".PP")
		p.text(c.Detail)
	}
	for _, arg := range c.Positional {
		p.item(arg.Summary(), arg.Help)
	}
	for _, flag := range c.Flags {
		if !flag.Hidden && flag.Name != "help" {
			p.item(flag.String(), flag.Help)
		}
	}
	for _, child := range c.Children {
		if !child.Hidden {
			p.command(child)
		}
	}
}

// roff is a text that no formatter takes for orders.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
