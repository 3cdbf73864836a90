package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	terminal "golang.org/x/term"
)

type initCmd struct {
	File   string `name:"file" placeholder:"FILE" default:".env" help:"The file to write (${default})."`
	Update bool   `name:"update" help:"The file exists: keep what it sets, and add the rest."`
	Yes    bool   `name:"yes" short:"y" help:"Ask nothing."`
}

// Help is shown below the usage.
func (initCmd) Help() string {
	return `Writes a file with all settings, readable only by you. It generates the secrets that no one else issues
(ADMIN_TOKEN, PLATFORM_WEBHOOK_SECRETS, the passwords for Docker), takes what flags and the environment set, and
on a terminal asks for the rest. Settings without a value are commented out.

Every command reads .env in the folder where it runs; the environment and flags take precedence. A file that
exists is changed only with --update, which keeps its values but not your own comments.`
}

func (c initCmd) Run(e *env, line *kong.Context) error {
	kept, err := c.kept()
	if err != nil {
		return err
	}
	filled := newSecrets()
	maps.Copy(filled, kept)
	given := givenSettings(line, e.file)
	maps.Copy(filled, given)
	if interactive() && !c.Yes {
		if err := e.askAll(filled); err != nil {
			return err
		}
	}
	for name, value := range filled {
		if strings.Contains(value, "'") {
			return fmt.Errorf("%s has a ' in it, which not every program can read back: write %%27 in a URL", name)
		}
	}
	if err := c.write(settingsText(filled) + others(kept)); err != nil {
		return fmt.Errorf("%s cannot be written: %w", c.File, innermost(err))
	}
	return c.sayNext(e, filled, kept, given)
}

// givenSettings are what flags and the environment set.
func givenSettings(line *kong.Context, file settingsFile) map[string]string {
	given := map[string]string{}
	for _, s := range shownSettings(line, file) {
		if s.From == "flag" || s.From == "environment" {
			given[s.Variable] = s.value
		}
	}
	return given
}

// kept are the values of the file that is there.
func (c initCmd) kept() (map[string]string, error) {
	_, err := os.Stat(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Update:
		return nil, fmt.Errorf("%s is not there: leave out --update", c.File)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !c.Update:
		return nil, fmt.Errorf("%s exists and stays as it is: add --update to keep its values and add others, "+
			"or --file for another file", c.File)
	}
	values, ignored, err := valuesOf(c.File)
	if ignored != "" {
		return nil, fmt.Errorf("%s cannot be updated: %s", c.File, ignored)
	}
	return values, err
}

// newSecrets are the secrets that no one else issues.
func newSecrets() map[string]string {
	return map[string]string{
		"POSTGRES_PASSWORD": hex.EncodeToString(random(24)), "REDIS_PASSWORD": hex.EncodeToString(random(24)),
		"ADMIN_TOKEN": hex.EncodeToString(random(24)), "PLATFORM_WEBHOOK_SECRETS": signingSecret(),
	}
}

// questions are what init asks for, in order.
var questions = []struct{ variable, question string }{
	{"STRIPE_WEBHOOK_SECRETS", "Stripe: signing secret of the endpoint, or of \"stripe listen\" (whsec_…)"},
	{"STRIPE_API_KEY", "Stripe: API key that imports the history (rk_… or sk_…)"},
	{"CLERK_WEBHOOK_SECRETS", "Clerk: signing secret of the endpoint (whsec_…)"},
	{"CLERK_SECRET_KEY", "Clerk: secret key, for sign-ins and the history (sk_…)"},
	{"SIGN_IN_URL", "Address of the page where creators sign in"},
	{"DATABASE_URL", "Postgres (postgres://user:password@host/database; empty: \"rollcall dev\" brings its own)"},
	{"REDIS_URL", "Redis (redis://:password@host; empty: the same)"},
}

// askAll asks for what is not filled in yet. An empty answer leaves it open.
func (e *env) askAll(filled map[string]string) error {
	fmt.Fprintln(e.err, "Press Enter to leave a setting for later. What you type for secrets is not shown.")
	in := bufio.NewReader(os.Stdin)
	for _, q := range questions {
		for filled[q.variable] == "" {
			fmt.Fprintf(e.err, "%s: ", q.question)
			answer, err := e.answer(in, q.variable == "SIGN_IN_URL") // others may have a password in them
			if err != nil {
				return err
			}
			if answer == "" {
				break
			}
			if wrong := e.wrong(q.variable, answer); wrong != "" {
				fmt.Fprintln(e.err, "  "+wrong)
				continue
			}
			filled[q.variable] = answer
		}
	}
	return nil
}

// answer reads a line from the terminal, without showing it unless it may be seen. Ctrl-C
// ends the waiting, and the terminal shows again what is typed.
func (e *env) answer(in *bufio.Reader, shown bool) (string, error) {
	terminalOf := int(os.Stdin.Fd())
	before, err := terminal.GetState(terminalOf)
	if err != nil {
		return "", err
	}
	type typed struct {
		line string
		err  error
	}
	answers := make(chan typed, 1)
	go func() {
		if shown {
			line, err := in.ReadString('\n')
			answers <- typed{line, err}
			return
		}
		line, err := terminal.ReadPassword(terminalOf)
		fmt.Fprintln(e.err)
		answers <- typed{string(line), err}
	}()
	select {
	case a := <-answers:
		if a.err != nil && a.line == "" {
			return "", errors.New("no answer: nothing is written")
		}
		return strings.TrimSpace(a.line), nil
	case <-e.Done():
		fmt.Fprintln(e.err)
		return "", errors.Join(errors.New("interrupted: nothing is written"), terminal.Restore(terminalOf, before))
	}
}

// wrong says what is wrong with a setting's value; nothing if it is valid.
func (e *env) wrong(variable, value string) string {
	c := e.Config
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		if fields.Type().Field(i).Tag.Get("env") == variable {
			fields.Field(i).Set(reflect.ValueOf(&value))
		}
	}
	for _, problem := range problemsOf(c.checkServers(), c.check(), c.checkWeb()) {
		if strings.HasPrefix(problem, variable) {
			return problem
		}
	}
	return ""
}

// interactive tells whether a person can be asked.
func interactive() bool { return terminal.IsTerminal(int(os.Stdin.Fd())) }

// others are the lines of a file that are no settings of Rollcall's.
func others(kept map[string]string) (text string) {
	known := append(settings(), composeOnly...)
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		if !slices.Contains(known, name) {
			text += name + "=" + inFile(kept[name]) + "\n"
		}
	}
	if text == "" {
		return ""
	}
	return "\n# --- Others\n\n" + text
}

// write writes the file whole or not at all, readable only by its owner.
func (c initCmd) write(text string) error {
	dir, name := filepath.Split(c.File)
	f, err := os.CreateTemp(filepath.Clean(dir+"."), name+".*.new") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if c.Update {
		return os.Rename(f.Name(), c.File)
	}
	return os.Link(f.Name(), c.File) // fails if someone else wrote it meanwhile
}
