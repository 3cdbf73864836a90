package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	storemail "rollcall/store/mail"
)

type mailConsentsCmd struct {
	Import mailConsentsImportCmd `cmd:"" help:"Import a CSV file of consents. A line with a mistake stops all of it."`
}

type mailConsentsImportCmd struct {
	File   string `arg:"" name:"file" help:"The file; - reads standard input."`
	DryRun bool   `name:"dry-run" help:"Check the file, and change nothing."`
}

// Help is shown below the usage.
func (mailConsentsImportCmd) Help() string {
	return `The first line names the columns: ` + strings.Join(storemail.ConsentColumns, ", ") + `. Each line needs ` +
		`store_id, said_at (2026-01-12T10:00:00Z), wording (what they agreed to), one of user_id and email, and true or ` +
		`false in marketing or tracking. The last word of a person counts, so an old file changes nothing newer.`
}

// mostLines is how many mistakes of a file are named.
const mostLines = 20

func (c mailConsentsImportCmd) Run(e *env) error {
	file := io.Reader(os.Stdin)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if wrong, is := errors.AsType[*fs.PathError](err); is {
			return usageError(fmt.Sprintf("%s cannot be read: %v", c.File, wrong.Err))
		}
		defer f.Close()
		file = f
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	var away error // the database that is to know the stores
	verdicts := map[string]error{}
	events, err := storemail.ReadConsents(file, time.Now(), func(store string) error {
		if _, asked := verdicts[store]; !asked {
			verdicts[store] = e.mustKnowStore(s, store)
			if e.trouble(verdicts[store]) != nil {
				away = verdicts[store]
			}
		}
		return verdicts[store]
	})
	if away != nil {
		return away
	}
	if err != nil {
		return c.refuse(e, err)
	}
	consents := count(len(events), "consent")
	if c.DryRun {
		_, err := fmt.Fprintf(e.out, "The file is right: %s. Nothing was changed.\n", consents)
		return err
	}
	added, err := storemail.NewRecipients(s).ImportConsents(e, events, "rollcall mail consents import")
	if err != nil {
		fmt.Fprintf(e.err, "Stopped after %s of %s: run this again, which adds the rest.\n", number(int64(added)), consents)
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s: %s new, %s imported before. Workers apply them; `%s` follows that.\n", consents,
		number(int64(added)), number(int64(len(events)-added)), e.at("rollcall events list"))
	return err
}

// refuse says what is wrong with each line.
func (c mailConsentsImportCmd) refuse(e *env, err error) error {
	lines := strings.Split(err.Error(), "\n")
	for _, line := range lines[:min(len(lines), mostLines)] {
		fmt.Fprintf(e.err, "%s: %s\n", c.File, harmless(line))
	}
	if left := len(lines) - mostLines; left > 0 {
		fmt.Fprintf(e.err, "… and %s more\n", number(int64(left)))
	}
	return errors.New("nothing was imported: correct the file, then run this again")
}
