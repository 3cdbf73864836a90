// Command rollcall keeps the customer list of every store on a course
// marketplace true. README.md says how to use it; `rollcall --help` lists its
// commands.
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

// commandLine is everything that can be written behind "rollcall".
type commandLine struct {
	Config `embed:""`

	Dev      devCmd      `cmd:"" help:"Run everything in this process, on a private Postgres and Redis."`
	Demo     demoCmd     `cmd:"" help:"Like dev, then play some weeks of a marketplace at it and show the lists."`
	Serve    serveCmd    `cmd:"" help:"Receive webhooks and serve the pages and the API."`
	Work     workCmd     `cmd:"" help:"Work through what was received."`
	Health   healthCmd   `cmd:"" help:"Ask a running server how it is, for supervisors without curl."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database schema up to date, or tell whether it is."`
	Events   eventsCmd   `cmd:"" help:"Look at the inbox: list, show, retry, replay; send an event of the platform's."`
	Backfill backfillCmd `cmd:"" help:"Bring in history: start, list, show, pause, resume, cancel."`
	Audit    auditCmd    `cmd:"" help:"Compare what we hold with itself, with Stripe or with Clerk, and tell every difference."`
	Doctor   doctorCmd   `cmd:"" help:"Find what keeps people off their lists, with the command that mends it; or tell why one person is on a list or not."`
	Erase    eraseCmd    `cmd:"" help:"Erase a person from all that is kept, and keep what stores took as nobody's."`
	Rebuild  rebuildCmd  `cmd:"" help:"Derive every customer again from the facts, and tell what was wrong."`
	Stripe   stripeCmd   `cmd:"" help:"Set Stripe up: setup makes the webhook endpoint."`
	Token    tokenCmd    `cmd:"" help:"Tokens that open one store's API to a program: create, list, revoke."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

const description = `Rollcall keeps the customer list of every store on a course marketplace true: it receives the webhooks of Clerk, Stripe and the platform, and keeps one customer per email per store.

Try it: rollcall demo. Every setting is a flag and an environment variable; secrets belong into the environment, where other users of the machine cannot read them.`

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that cannot be meant, found while running it.
type usageError string

func (e usageError) Error() string { return string(e) }

func main() {
	// Live memory is small and garbage plentiful: collecting it a third as often
	// costs some tens of megabytes and saves a good part of the time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	limitMemory(memlimit.FromCgroup)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// env is what a command runs in.
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
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
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
	cli.Config.logger(stderr) // for what the client of Redis has to say
	if !lenient[command.Command()] {
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
	case errors.Is(err, errSaid):
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "rollcall: interrupted")
	default:
		fmt.Fprintln(stderr, "rollcall:", cli.Config.inWords(err))
	}
	return exitFailed
}

// lenient are the commands that run with malformed settings, too: two need
// none, the other tells what is wrong with them.
var lenient = map[string]bool{"version": true, "health": true, "health <url>": true, "doctor": true}

// help shows of the settings only those that the command uses. The others are
// taken all the same.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	name, _, _ := strings.Cut(ctx.Command(), " ")
	if uses, listed := groupsOf[name]; listed {
		for _, flag := range ctx.Model.Flags {
			flag.Hidden = flag.Hidden || flag.Group != nil && !slices.Contains(uses, flag.Group.Key)
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// errSaid is the error of a command that has told all about it already.
var errSaid = errors.New("failed, and said so")

// usage says where to look after a mistake on the command line.
func usage(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if command := wrong.Context.Command(); command != "" {
			return fmt.Sprintf("Run \"rollcall %s --help\" to see what it takes.", wrong.Context.Selected().FullPath()[len("rollcall "):])
		}
	}
	return `Run "rollcall --help" to see the commands.`
}
