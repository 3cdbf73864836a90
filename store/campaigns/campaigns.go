// Package campaigns brings customers through steps: mails, tags, notes. A campaign asks a question over facts and never
// waits for an event: late, doubled or reordered webhooks change nothing. Who enters is a run, whose key is the
// customer and the occurrence of what was asked for. So nobody comes twice, whatever is evaluated when.
//
// Everything takes the moment as an argument: a preview of another day asks the same SQL.
package campaigns

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

const maxCampaigns = 200 // of a store: pages list them all

// Kinds of campaigns.
const (
	Once = "once" // to all who match at a time
	Flow = "flow" // to each for whom a question becomes true
)

// States of campaigns.
const (
	Draft     = "draft"
	Rehearsal = "rehearsal" // everything happens, but mails are not sent
	On        = "on"
	Paused    = "paused"
	Ended     = "ended"
)

// Audience is why Rollcall pauses a campaign: more customers would enter than were confirmed.
const Audience = "audience"

// Classes of mails.
const (
	Marketing = "marketing"
	Service   = "service"
)

// Who may come again.
const (
	Never = "never" // once ever
	Each  = "each"  // once for each occurrence: each course, each invoice
	After = "after" // once in ReentryDays
)

// Campaigns reads, writes and runs campaigns. Safe for concurrent use.
type Campaigns struct {
	*store.Store
	readers     *customers.Reader
	tags        *tags.Tags
	mostDecided int64
	mostCounted int64
}

// New returns the campaigns of all stores.
func New(s *store.Store) *Campaigns {
	return &Campaigns{s, customers.New(s), tags.New(s), mostDecided, mostCounted}
}

// Campaign is a campaign of a store. Its JSON is the API's.
type Campaign struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Kind        string          `json:"kind"`
	Recipe      string          `json:"recipe"` // empty: none
	State       string          `json:"state"`
	Class       string          `json:"class"`
	Trigger     Trigger         `json:"trigger"`
	Audience    json.RawMessage `json:"audience"` // a rule; null: all
	Goal        *Test           `json:"goal"`     // null: none
	Steps       []Step          `json:"steps"`
	OnGoal      []Step          `json:"on_goal"` // done at the goal
	Holdout     int             `json:"holdout"` // percent that get nothing
	Reentry     string          `json:"reentry"`
	ReentryDays int             `json:"reentry_days"` // 0 unless Reentry is After
	NotAfter    Wait            `json:"not_after"`    // a step that is later is not done
	Within      Wait            `json:"within"`       // how long after the last step the goal counts
	Priority    int             `json:"priority"`     // 0 goes first, 9 last
	Version     int             `json:"version"`      // counts changes
	StartsFrom  *time.Time      `json:"starts_from"`  // what became due before is left out
	SwitchedAt  *time.Time      `json:"switched_at"`
	EnteredAt   *time.Time      `json:"entered_at"` // when all who were due at the start had entered
	Confirmed   *int            `json:"confirmed"`  // the number of customers that was typed in; null: none was
	PausedFor   string          `json:"paused_for"` // Audience, or empty: people paused it
	CreatedBy   string          `json:"created_by"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`

	store string
}

// Trigger is a question with its numbers.
type Trigger struct {
	Question string         `json:"question"` // name of a Question
	Numbers  map[string]int `json:"numbers"`  // by name; what is missing is as by default
	Courses  []string       `json:"courses"`  // only these; empty: all
	Product  string         `json:"product"`  // of questions about one
}

// Test is something that is true of a run, or is not.
type Test struct {
	Fact    string `json:"fact"`              // name of a Fact
	Number  int    `json:"number,omitempty"`  // of facts that have one
	Product string `json:"product,omitempty"` // of facts about one
	Not     bool   `json:"not,omitempty"`
}

// What steps do.
const (
	DoMail  = "mail"
	DoTag   = "tag"
	DoUntag = "untag"
	DoNote  = "note"
)

// Step is a step of a campaign.
type Step struct {
	Key  string `json:"key"`            // stays, wherever the step is moved; empty: one is given
	Wait Wait   `json:"wait"`           // after the step before; of the first after the question became true
	If   *Test  `json:"if,omitempty"`   // else the step is left out
	Do   string `json:"do"`             // DoMail, DoTag, DoUntag or DoNote
	Mail *Text  `json:"mail,omitempty"` // what it says
	B    *Text  `json:"b,omitempty"`    // what it says to half of them instead, to compare
	Tag  string `json:"tag,omitempty"`  // id of a tag
	Note string `json:"note,omitempty"` // its text
}

// Text is what a mail says.
type Text struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`              // Markdown with named values
	Version int    `json:"version,omitempty"` // of mail_bodies: set when it is saved
}

// selectCampaigns selects campaigns, for a WHERE to follow.
const selectCampaigns = `
	SELECT
		id,
		store_id,
		name,
		kind,
		recipe,
		state,
		class,
		trigger,
		audience::text,
		goal,
		steps,
		on_goal,
		holdout,
		reentry,
		reentry_days,
		extract(epoch FROM not_after)::bigint,
		extract(epoch FROM within)::bigint,
		priority,
		version,
		starts_from,
		switched_at,
		entered_at,
		confirmed,
		CASE WHEN unconfirmed THEN 'audience' ELSE '' END,
		created_by,
		created_at,
		updated_at
	FROM campaigns `

func scan(row pgx.CollectableRow) (c Campaign, err error) {
	var audience *string
	var notAfter, within int64
	err = row.Scan(&c.ID, &c.store, &c.Name, &c.Kind, &c.Recipe, &c.State, &c.Class, &c.Trigger, &audience, &c.Goal,
		&c.Steps, &c.OnGoal, &c.Holdout, &c.Reentry, &c.ReentryDays, &notAfter, &within, &c.Priority, &c.Version,
		&c.StartsFrom, &c.SwitchedAt, &c.EnteredAt, &c.Confirmed, &c.PausedFor, &c.CreatedBy, &c.CreatedAt, &c.UpdatedAt)
	if audience != nil {
		c.Audience = json.RawMessage(*audience)
	}
	c.NotAfter, c.Within = Wait(time.Duration(notAfter)*time.Second), Wait(time.Duration(within)*time.Second)
	c.StartsFrom, c.SwitchedAt, c.EnteredAt = pg.UTC(c.StartsFrom), pg.UTC(c.SwitchedAt), pg.UTC(c.EnteredAt)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c, err
}

// List returns a store's campaigns, the newest first.
func (s *Campaigns) List(ctx context.Context, storeID string) (all []Campaign, err error) {
	defer pg.Wrap(&err, "campaigns.List(%q)", storeID)
	if !pg.Storable(storeID) {
		return []Campaign{}, nil
	}
	rows := pg.Query(ctx, s.Pool, selectCampaigns+`WHERE store_id = $1 ORDER BY created_at DESC, id`, storeID)
	return pgx.CollectRows(rows, scan)
}

// Campaign returns a campaign of a store; ErrNotFound also for another store's.
func (s *Campaigns) Campaign(ctx context.Context, storeID, id string) (c Campaign, err error) {
	defer pg.Wrap(&err, "campaigns.Campaign(%q, %q)", storeID, id)
	return one(ctx, s.Pool, storeID, id, "")
}

// one reads a campaign, with a lock if one is named.
func one(ctx context.Context, db pg.Querier, storeID, id, lock string) (c Campaign, err error) {
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return c, pg.ErrNotFound
	}
	return pg.One(ctx, db, scan, selectCampaigns+`WHERE store_id = $1 AND id = $2 `+lock, storeID, id)
}

// step is the step with a key; nil: there is none.
func (c *Campaign) step(key string) *Step {
	for i := range c.Steps {
		if c.Steps[i].Key == key {
			return &c.Steps[i]
		}
	}
	return nil
}
