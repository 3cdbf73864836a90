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
	"slices"
	"strings"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/alecthomas/kong"
)

// commandLine is the grammar of the command line.
type commandLine struct {
	Config `embed:""`

	Dev      devCmd      `cmd:"" help:"Run everything in this process, on a private Postgres and Redis."`
	Demo     demoCmd     `cmd:"" help:"Run like dev, then play some weeks of a marketplace and show the lists."`
	Serve    serveCmd    `cmd:"" help:"Receive webhooks and serve the pages and the API."`
	Work     workCmd     `cmd:"" help:"Apply received events and run backfills."`
	Health   healthCmd   `cmd:"" help:"Check a running server, for supervisors without curl."`
	Migrate  migrateCmd  `cmd:"" help:"Migrate the database schema, or show its state."`
	Events   eventsCmd   `cmd:"" help:"Show the inbox and apply events again: list, show, retry, replay; send a platform event."`
	Backfill backfillCmd `cmd:"" help:"Import history: start, list, show, pause, resume, cancel."`
	Audit    auditCmd    `cmd:"" help:"Compare stored data with itself, with Stripe or with Clerk, and report every difference."`
	Doctor   doctorCmd   `cmd:"" help:"Find why people are missing from lists, with the command that fixes it; or explain why one person is on a list or not."`
	Erase    eraseCmd    `cmd:"" help:"Erase a person's data; sales stay, anonymised."`
	Rebuild  rebuildCmd  `cmd:"" help:"Recompute every customer from the facts, fix and report the differences."`
	Stripe   stripeCmd   `cmd:"" help:"Set up Stripe: setup creates the webhook endpoint."`
	Token    tokenCmd    `cmd:"" help:"Manage tokens that give programs access to one store's API: create, list, revoke."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

const description = `Rollcall keeps a correct customer list for every store on a course marketplace. ` +
	`It receives the webhooks of Clerk, Stripe and the platform, and keeps one customer per email per store.

Try it: rollcall demo. Every setting is a flag and an environment variable. ` +
	`Put secrets in the environment, where other users of the machine cannot read them.`

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
	limitMemory(memlimit.FromCgroup)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// env is the environment of a command: context, settings and output.
type env struct {
	context.Context // ends with SIGINT or SIGTERM
	Config
	out, err io.Writer
}

func run(args []string, stdout, stderr io.Writer) int {
	var cli commandLine
	parser := kong.Must(&cli,
		kong.Name("rollcall"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(groups),
		kong.Help(help),
		kong.Vars{"data": defaultData()})
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "rollcall: %v\n%s\n", err, usage(err))
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	defer stop()
	cli.Config.logger(stderr) // the Redis client logs too
	if !commandsWithoutConfig[command.Command()] {
		err = cli.Config.check()
	}
	if err == nil {
		err = command.Run(&env{Context: ctx, Config: cli.Config, out: stdout, err: stderr})
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
		fmt.Fprintln(stderr, "rollcall:", cli.Config.inWords(err))
	}
	return exitFailed
}

// commandsWithoutConfig run despite invalid settings: version and health need
// none, and doctor reports what is wrong with them.
var commandsWithoutConfig = map[string]bool{"version": true, "health": true, "health <url>": true, "doctor": true}

// help shows only the settings that the command uses, though it accepts all.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	name, _, _ := strings.Cut(ctx.Command(), " ")
	if uses, listed := groupsOf[name]; listed {
		for _, flag := range ctx.Model.Flags {
			flag.Hidden = flag.Hidden || flag.Group != nil && !slices.Contains(uses, flag.Group.Key)
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// errReported is the error of a command that has already printed its error.
var errReported = errors.New("failed, and reported it")

// usage is the hint after a mistake on the command line.
func usage(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if command := wrong.Context.Command(); command != "" {
			return fmt.Sprintf("Run \"rollcall %s --help\" to see its arguments.",
				wrong.Context.Selected().FullPath()[len("rollcall "):])
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
