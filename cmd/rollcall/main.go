// Command rollcall keeps a correct customer list for every store on a course
// marketplace. README.md explains its use; `rollcall --help` lists its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/alecthomas/kong"
)

// commandLine is the grammar of the command line.
type commandLine struct {
	Settings Config `embed:""`

	Init initCmd `cmd:"" group:"try" help:"Write .env: your settings, and new secrets."`
	Demo demoCmd `cmd:"" group:"try" help:"See it work: play some weeks of a marketplace."`
	Dev  devCmd  `cmd:"" group:"try" help:"Run everything here, on a private Postgres and Redis."`

	Serve   serveCmd   `cmd:"" group:"run" help:"Receive webhooks and serve the pages and the API."`
	Work    workCmd    `cmd:"" group:"run" help:"Apply received events and run backfills."`
	Migrate migrateCmd `cmd:"" group:"run" help:"Migrate the database schema, or show its state."`
	Health  healthCmd  `cmd:"" group:"run" help:"Check a running server, for supervisors without curl."`

	Doctor    doctorCmd    `cmd:"" group:"look" help:"Find why people are missing, and what fixes it."`
	Stores    storesCmd    `cmd:"" group:"look" help:"List stores, with the number of their customers."`
	Customers customersCmd `cmd:"" group:"look" help:"List the customers of a store, or show one."`
	Events    eventsCmd    `cmd:"" group:"look" help:"Follow, list and show webhooks; retry, replay, dismiss, send."`
	Audit     auditCmd     `cmd:"" group:"look" help:"Compare stored data with itself, with Stripe or with Clerk."`
	Mail      mailCmd      `cmd:"" group:"look" help:"Follow mail and campaigns; send again, stop, pause, preview."`
	Config    configCmd    `cmd:"" group:"look" name:"config" help:"Show every setting, and what is wrong with it."`

	Backfill backfillCmd `cmd:"" group:"change" help:"Import history: start, list, show, pause, resume, cancel."`
	Rebuild  rebuildCmd  `cmd:"" group:"change" help:"Recompute every customer, and fix differences."`
	Erase    eraseCmd    `cmd:"" group:"change" help:"Erase a person's data; sales stay, anonymised."`
	Token    tokenCmd    `cmd:"" group:"change" help:"Manage tokens that give programs access to one store's API."`
	Stripe   stripeCmd   `cmd:"" group:"change" help:"Set up Stripe: setup creates the webhook endpoint."`

	Completion completionCmd `cmd:"" group:"about" help:"Print what makes a shell complete commands: bash, zsh or fish."`
	Man        manCmd        `cmd:"" group:"about" help:"Print the manual page."`
	Version    versionCmd    `cmd:"" group:"about" help:"Print the version."`
	Explain    settingsCmd   `cmd:"" hidden:"" name:"settings" help:"Explain all settings."`
}

const description = `Rollcall keeps a correct customer list for every store on a course marketplace.`

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an invalid command line that is found only while the command runs.
type usageError string

func (e usageError) Error() string { return string(e) }

func main() {
	// Live memory is small and garbage plentiful: fewer collections cost some tens
	// of megabytes and save much time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	if answerShell(os.Stdout) {
		return
	}
	limitMemory(memlimit.FromCgroup)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// env is the environment of a command: context, settings and output.
type env struct {
	context.Context // ends with SIGINT or SIGTERM
	Config
	file     settingsFile
	out, err io.Writer
	siteURL  string // of dev and demo: for links in mails, without PUBLIC_URL
}

func run(args []string, stdout, stderr io.Writer) int {
	var cli commandLine
	file := loadDotEnv()
	parser := newParser(&cli, stdout, stderr)
	command, err := parser.Parse(meant(args))
	if err != nil {
		fmt.Fprintf(stderr, "rollcall: %s\n%s\n", worded(err), usage(err))
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	defer stop()
	if cli.Settings.Data == "" { // an empty variable
		cli.Settings.Data = defaultData()
	}
	log := cli.Settings.logger(stderr) // the Redis client logs too
	if !commandsWithoutConfig[command.Command()] {
		err = cli.Settings.valid(file, command.Command())
	}
	if err == nil {
		err = command.Run(&env{Context: ctx, Config: cli.Settings, file: file, out: stdout, err: stderr})
	}
	var wrong usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, "rollcall:", err)
		return exitUsage
	case errors.Is(err, errReported):
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "rollcall: interrupted")
	default:
		log.Debug("the command failed", "error", err)
		fmt.Fprintln(stderr, "rollcall:", withoutCalls(cli.Settings.inWords(err)))
	}
	return exitFailed
}

// commandsWithoutConfig run despite invalid settings: they need none, or report what is
// wrong with them, as doctor and config.
var commandsWithoutConfig = map[string]bool{"version": true, "health": true, "health <url>": true, "doctor": true,
	"config": true, "settings": true, "man": true, "completion <shell>": true}

// errReported is the error of a command that has already printed its error.
var errReported = errors.New("failed, and reported it")

// usage is the hint after a mistake on the command line.
func usage(err error) string {
	if wrong, is := errors.AsType[*kong.ParseError](err); is && wrong.Context != nil {
		if selected := wrong.Context.Selected(); selected != nil {
			return fmt.Sprintf("Run \"%s --help\" to see its arguments.", selected.FullPath())
		}
	}
	return `Run "rollcall --help" to see the commands.`
}

// memoryShare is how much of a container's memory Go may take before it collects
// garbage harder. The rest is for what Go does not count, such as the buffers of
// connections.
const memoryShare = 0.8

// limitMemory makes Go's memory limit follow that of the container, unless
// GOMEMLIMIT sets it. Without a limit there is nothing to follow.
func limitMemory(ofContainer memlimit.Provider) {
	// It fails where there is no limit.
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare), memlimit.WithProvider(ofContainer))
}
