package operators

import (
	"cmp"
	"strings"

	"rollcall/store/checks"
)

// step is one of the first set-up.
type step struct {
	Done      bool
	What      string
	Commands  []string // that do it
	URL, Link string   // a page that does it
	Hint      string
}

// setupSteps are the steps of the first set-up, and how many are done; nil if all are, or it cannot be told.
func (s *Pages) setupSteps(v Vitals) (steps []step, done int) {
	if v.Inbox == nil {
		return nil, 0
	}
	steps = []step{
		{Done: v.Postgres == "ok" && v.Redis == "ok" && len(v.Workers) > 0,
			What: "Postgres, Redis and a worker are running", Commands: []string{"rollcall work"}},
		s.sends(v, "stripe", "Stripe sends webhooks"),
		s.sends(v, "clerk", "Clerk sends webhooks"),
		{Done: v.Inbox.Setup.Stores, What: "Your platform reports its stores", Commands: checks.FirstWords("platform")},
		{Done: v.Inbox.Setup.Imported, What: "Your history is imported", URL: "/admin/backfills", Link: "Start import"},
		{Done: (s.Cfg.Clerk.Key != nil || s.Cfg.Clerk.SecretKey != "") && s.Cfg.SignInURL != "",
			What: "Creators can sign in", Hint: "Set these where serve runs, then restart it.",
			Commands: []string{"export CLERK_SECRET_KEY=<KEY>", "export SIGN_IN_URL=<YOUR SIGN-IN PAGE>"}},
	}
	for _, one := range steps {
		if one.Done {
			done++
		}
	}
	if done == len(steps) {
		return nil, done
	}
	return steps, done
}

// sends is the step at whose end a source sends. The address of this site stands in its commands.
func (s *Pages) sends(v Vitals, source, what string) step {
	one := step{What: what}
	for _, of := range v.Inbox.Sources {
		one.Done = one.Done || of.Source == source && of.Last != nil
	}
	address := cmp.Or(s.Cfg.PublicURL, "https://<HOST>")
	for _, command := range checks.FirstWords(source) {
		one.Commands = append(one.Commands, strings.ReplaceAll(command, "https://<HOST>", address))
	}
	return one
}
