package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type configCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (configCmd) Help() string {
	return `Prints what each setting is here, and whether a flag, the environment, .env or a default set it. Secrets ` +
		`are masked. A .env in this folder is read if it is Rollcall's (see init). To check another file, load it first: ` +
		`set -a; . /etc/rollcall/env; set +a. It ends with status 1 if a setting is not valid, and names all that are not.`
}

// settingShown is a setting as `config` shows it.
type settingShown struct {
	Variable string `json:"variable"`
	Flag     string `json:"flag"`
	Value    string `json:"value"` // secrets are masked
	From     string `json:"from"`  // flag, environment, .env, default or nothing
	Help     string `json:"help"`
	group    string
	value    string // not masked
}

func (c configCmd) Run(e *env, line *kong.Context) error {
	settings := shownSettings(line, e.file)
	problems := problemsOf(e.file.problem, e.checkServers(), e.check(), e.checkWeb())
	if c.JSON {
		err := printJSON(e.out, struct {
			Settings []settingShown `json:"settings"`
			Problems []string       `json:"problems"`
		}{settings, problems})
		return errors.Join(err, reported(problems))
	}
	group := ""
	for _, s := range settings {
		if s.group != group {
			group = s.group
			fmt.Fprintf(e.out, "\n%s\n", group)
		}
		value := s.Value
		if s.From == "nothing" {
			value = "(not set)"
		}
		fmt.Fprintf(e.out, "  %-26s %-44s %s\n", s.Variable, value, strings.TrimPrefix(s.From, "nothing"))
	}
	if e.file.ignored != "" {
		fmt.Fprintf(e.out, "\nNot read: %s in this folder: %s\n", dotEnv, e.file.ignored)
	}
	for _, problem := range problems {
		fmt.Fprintf(e.out, "\n%s %s", e.ink().Red("Wrong:"), problem)
	}
	fmt.Fprintln(e.out)
	if len(problems) == 0 {
		fmt.Fprintln(e.out, e.ink().Green("All settings are valid."))
	}
	return reported(problems)
}

// reported is the error of a command that has printed problems.
func reported(problems []string) error {
	if len(problems) > 0 {
		return errReported
	}
	return nil
}

// shownSettings lists the settings of a command line, in the order of Config.
func shownSettings(line *kong.Context, file settingsFile) (all []settingShown) {
	typed := map[*kong.Flag]bool{}
	for _, part := range line.Path {
		typed[part.Flag] = true
	}
	for _, flag := range line.Model.Flags {
		if len(flag.Envs) == 0 {
			continue
		}
		s := settingShown{Variable: flag.Envs[0], Flag: "--" + flag.Name, Help: flag.Help, group: flag.Group.Title}
		_, inEnvironment := os.LookupEnv(s.Variable)
		switch {
		case typed[flag]:
			s.From = "flag"
		case slices.Contains(file.set, s.Variable):
			s.From = dotEnv
		case inEnvironment:
			s.From = "environment"
		case flag.HasDefault:
			s.From = "default"
		default:
			s.From = "nothing"
		}
		s.value = valueOf(flag.Target)
		s.Value = masked(s.Variable, s.value)
		all = append(all, s)
	}
	return all
}

// valueOf is a setting's value as text.
func valueOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return fmt.Sprint(v.Interface())
}

// masked hides what is secret in a value: all of a key, the password of an address.
func masked(variable, value string) string {
	switch {
	case value == "":
		return ""
	case variable == "CLERK_JWT_KEY": // public
		return clip(strings.ReplaceAll(value, "\n", `\n`), 44)
	case strings.HasSuffix(variable, "_URL"):
		at, err := url.Parse(value)
		if err != nil || at.Scheme == "" { // whatever it is, it may be a secret in the wrong place
			return hidden(value)
		}
		if at.RawQuery != "" { // where drivers take passwords too
			at.RawQuery = "…"
		}
		return at.Redacted()
	case strings.Contains(variable, "SECRET"), strings.Contains(variable, "TOKEN"), strings.Contains(variable, "KEY"):
		return hidden(value)
	}
	return value
}

func hidden(value string) string { return fmt.Sprintf("******** (%d characters)", len(value)) }

// problemsOf lists the errors that are joined, each once.
func problemsOf(errs ...error) (all []string) {
	seen := map[string]bool{}
	for _, err := range errs {
		var joined interface{ Unwrap() []error }
		switch {
		case err == nil:
		case errors.As(err, &joined):
			for _, problem := range problemsOf(joined.Unwrap()...) {
				if !seen[problem] {
					seen[problem] = true
					all = append(all, problem)
				}
			}
		case !seen[err.Error()]:
			seen[err.Error()] = true
			all = append(all, err.Error())
		}
	}
	return all
}

// checkPlaceholders refuses values that .env.example has only as examples.
func (c *Config) checkPlaceholders() error {
	var wrong []error
	fields := reflect.ValueOf(*c)
	for i := range fields.NumField() {
		if variable := fields.Type().Field(i).Tag.Get("env"); strings.Contains(valueOf(fields.Field(i)), "…") {
			wrong = append(wrong, fmt.Errorf(
				"%s is still the placeholder of .env.example: fill it in, or delete its line", variable))
		}
	}
	return errors.Join(wrong...)
}
