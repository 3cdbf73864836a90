// Package segments stores the segments of stores: dynamic ones are rules, static ones are
// lists that people put customers on. The members of a static one are kept as tags are,
// see migrations/0029_segments.sql.
package segments

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

const maxSegments = 200 // of a store: pages list them all

// Kinds of segments.
const (
	Dynamic = "dynamic"
	Static  = "static"
)

// Segments reads and writes segments.
type Segments struct {
	*store.Store
	readers *customers.Reader
	members *tags.Tags
}

// New returns the segments of all stores.
func New(s *store.Store) *Segments {
	return &Segments{s, customers.New(s), tags.Static(s)}
}

// Segment is a segment of a store. Its JSON is the API's.
type Segment struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	ReadyMade bool            `json:"ready_made"` // every store has it: see customers.ReadySegments
	Kind      string          `json:"kind"`
	Rule      json.RawMessage `json:"rule"` // null: static
	Pinned    bool            `json:"pinned"`
	Watched   bool            `json:"watched"` // entries and exits are written down
	Version   int             `json:"version"` // counts changes
	CreatedBy string          `json:"created_by"`
	CreatedAt *time.Time      `json:"created_at"` // nil: ready-made
	UpdatedAt *time.Time      `json:"updated_at"`
}

const (
	// columns are those that scan reads.
	columns = `coalesce(ready, id), name, kind, rule, pinned, watched, version, created_by, created_at, updated_at`

	// selectSegments selects segments, for more conditions to follow.
	selectSegments = `SELECT ` + columns + ` FROM segments WHERE store_id = $1`

	// rowOf is the row of the segment with an id. A ready-made one has none until it is pinned or watched.
	rowOf = `(SELECT id FROM segments WHERE store_id = $1 AND coalesce(ready, id) = $2)`
)

func scan(row pgx.CollectableRow) (g Segment, err error) {
	var rule *string
	err = row.Scan(&g.ID, &g.Name, &g.Kind, &rule, &g.Pinned, &g.Watched, &g.Version, &g.CreatedBy, &g.CreatedAt,
		&g.UpdatedAt)
	if rule != nil {
		g.Rule = json.RawMessage(*rule)
	}
	if err != nil {
		return g, err
	}
	if made := ready(g.ID); made != nil {
		made.Pinned, made.Watched, made.Version = g.Pinned, g.Watched, g.Version
		return *made, nil
	}
	*g.CreatedAt, *g.UpdatedAt = g.CreatedAt.UTC(), g.UpdatedAt.UTC()
	return g, nil
}

// ready is the ready-made segment with an id, neither pinned nor watched; nil: there is none.
func ready(id string) *Segment {
	made := customers.ReadySegmentOf(id)
	if made == nil {
		return nil
	}
	return &Segment{ID: id, Name: made.Name, ReadyMade: true, Kind: Dynamic, Rule: json.RawMessage(made.Rule),
		CreatedBy: "rollcall"}
}

// List returns a store's segments: those that are ready-made, then its own by name.
func (s *Segments) List(ctx context.Context, storeID string) (all []Segment, err error) {
	defer pg.Wrap(&err, "segments.List(%q)", storeID)
	if !pg.Storable(storeID) {
		return []Segment{}, nil
	}
	return list(ctx, s.Pool, storeID)
}

func list(ctx context.Context, db pg.Querier, storeID string) (all []Segment, err error) {
	kept, err := pgx.CollectRows(pg.Query(ctx, db, selectSegments+` ORDER BY folded`, storeID), scan)
	for _, made := range customers.ReadySegments {
		g := *ready(made.ID)
		if i := slices.IndexFunc(kept, func(g Segment) bool { return g.ID == made.ID }); i >= 0 {
			g = kept[i]
			kept = slices.Delete(kept, i, i+1)
		}
		all = append(all, g)
	}
	return append(all, kept...), err
}

// Segment returns a segment of a store; ErrNotFound also for another store's.
func (s *Segments) Segment(ctx context.Context, storeID, id string) (g Segment, err error) {
	defer pg.Wrap(&err, "segments.Segment(%q, %q)", storeID, id)
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return Segment{}, pg.ErrNotFound
	}
	g, err = pg.One(ctx, s.Pool, scan, selectSegments+` AND coalesce(ready, id) = $2`, storeID, id)
	if made := ready(id); made != nil && errors.Is(err, pg.ErrNotFound) {
		return *made, nil
	}
	return g, err
}

// Texts says in a sentence each who is in segments of a store.
func (s *Segments) Texts(ctx context.Context, storeID string, all []Segment) ([]string, error) {
	together := customers.Rule{Group: "all"} // for labels of them all at once
	rules := make([]customers.Rule, len(all))
	for i, g := range all {
		if g.Kind == Dynamic {
			rules[i], _ = customers.ParseRule(string(g.Rule)) // a rule that is kept was valid
			together.Rules = append(together.Rules, rules[i])
		}
	}
	labels, err := s.readers.LabelsOf(ctx, storeID, together)
	texts := make([]string, len(all))
	for i, g := range all {
		texts[i] = "Customers who were put into it."
		if g.Kind == Dynamic {
			texts[i] = rules[i].Text(labels)
		}
	}
	return texts, err
}

// Create makes a segment of its Name, Kind, Rule, Pinned and Watched; author is admin,
// user:<Clerk id> or token:<id>. What is not valid, or taken, is a *pg.BadParam.
func (s *Segments) Create(ctx context.Context, storeID string, g Segment, author string) (made Segment, err error) {
	defer pg.Wrap(&err, "segments.Create(%q)", storeID)
	if err := g.check(); err != nil {
		return Segment{}, err
	}
	if !pg.Storable(storeID) {
		return Segment{}, pg.ErrNotFound
	}
	g.ID, g.CreatedBy = newID(), author
	err = s.alone(ctx, storeID, func(tx pgx.Tx, all []Segment) error {
		if n := len(all) - len(customers.ReadySegments); n >= maxSegments {
			return pg.Refuse("name", "cannot be added: the store has %d segments, the most allowed; delete some", n)
		}
		if err := checkNested(all, append(all, g)); err != nil {
			return err
		}
		if err := g.checkNamed(ctx, tx, storeID); err != nil {
			return err
		}
		if err := free(ctx, tx, g.Name); err != nil {
			return err
		}
		rows := pg.Query(ctx, tx, `
			INSERT INTO segments (id, store_id, name, folded, kind, rule, pinned, watched, created_by)
			VALUES ($1, $2, $3, `+tags.Folded("$3")+`, $4, $5, $6, $7, $8)
			RETURNING `+columns,
			g.ID, storeID, g.Name, g.Kind, g.rule(), g.Pinned, g.Watched, author)
		made, err = pgx.CollectExactlyOneRow(rows, scan)
		return err
	})
	return made, taken(err, g.Name)
}

// Change is a change of a segment; what is nil stays.
type Change struct {
	Name    *string         `json:"name"`
	Rule    json.RawMessage `json:"rule"`
	Pinned  *bool           `json:"pinned"`
	Watched *bool           `json:"watched"`
	Version *int            `json:"version"` // that it is a change of; nil: any
}

// Update changes a segment; its id stays. Errors are as in Create and Segment, or a
// *pg.Conflict if another change came first. With another rule, all who match it are new
// to a watched segment, and none of them is an entry. A ready-made one is pinned and
// watched, and nothing else of it changes.
func (s *Segments) Update(ctx context.Context, storeID, id string, c Change) (g Segment, err error) {
	defer pg.Wrap(&err, "segments.Update(%q, %q)", storeID, id)
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return Segment{}, pg.ErrNotFound
	}
	err = s.alone(ctx, storeID, func(tx pgx.Tx, all []Segment) error {
		old, err := apply(all, id, c)
		if err != nil {
			return err
		}
		g = *old
		if g.ReadyMade {
			if err := keepReady(ctx, tx, storeID, g); err != nil {
				return err
			}
		}
		if c.Rule != nil {
			if err := g.checkNamed(ctx, tx, storeID); err != nil {
				return err
			}
		}
		if c.Name != nil {
			if err := free(ctx, tx, g.Name); err != nil {
				return err
			}
		}
		rows := pg.Query(ctx, tx, updateSQL, storeID, id, g.Name, g.rule(), g.Pinned, g.Watched)
		g, err = pgx.CollectExactlyOneRow(rows, scan)
		return err
	})
	return g, taken(err, g.Name)
}

var updateSQL = `
	WITH now AS (
		SELECT
			id AS segment_id,
			watched AND $6 AND rule IS NOT DISTINCT FROM $4 AS goes_on
		FROM segments
		WHERE store_id = $1 AND coalesce(ready, id) = $2
	),
	forgotten AS (
		DELETE FROM watched_members
		WHERE segment_id = (SELECT n.segment_id FROM now n WHERE NOT goes_on)
	)
	UPDATE segments s
	SET
		name = $3,
		folded = CASE WHEN s.ready IS NULL THEN ` + tags.Folded("$3") + ` ELSE s.folded END,
		rule = $4,
		pinned = $5,
		watched = $6,
		looked_at = CASE WHEN now.goes_on THEN s.looked_at END,
		version = s.version + 1,
		updated_at = now()
	FROM now
	WHERE s.id = now.segment_id
	RETURNING ` + columns

// keepReady makes the row of a ready-made segment, unless there is one. No name that people give folds to its own:
// that begins with a space.
func keepReady(ctx context.Context, tx pgx.Tx, storeID string, g Segment) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO segments (id, store_id, name, folded, kind, rule, ready, version, created_by)
		VALUES ($1, $2, $3, ' ' || $4::text, 'dynamic', $5, $4, 0, 'admin')
		ON CONFLICT (store_id, folded) DO NOTHING`, newID(), storeID, g.Name, g.ID, g.rule())
	return err
}

func newID() string { return "seg_" + strings.ToLower(rand.Text()[:10]) }

// readyStays refuses to change or delete a ready-made segment.
func (g Segment) readyStays() error {
	return pg.Conflicts("ready_made", "The segment “%s” is ready-made: its name and rule stay, and it cannot be deleted. "+
		"Copy it to change it.", g.Name)
}

// apply changes one of a store's segments, checks it, and returns it.
func apply(all []Segment, id string, c Change) (*Segment, error) {
	before := slices.Clone(all)
	for i := range all {
		if g := &all[i]; g.ID == id {
			if c.Version != nil && *c.Version != g.Version {
				return nil, pg.Conflicts("changed",
					"The segment “%s” was changed meanwhile. Look at it again, then repeat the change.", g.Name)
			}
			if g.ReadyMade && (c.Name != nil || c.Rule != nil) {
				return nil, g.readyStays()
			}
			g.take(c)
			if err := g.check(); err != nil {
				return nil, err
			}
			return g, checkNested(before, all)
		}
	}
	return nil, pg.ErrNotFound
}

func (g *Segment) take(c Change) {
	if c.Name != nil {
		g.Name = *c.Name
	}
	if c.Rule != nil {
		g.Rule = c.Rule
	}
	if c.Pinned != nil {
		g.Pinned = *c.Pinned
	}
	if c.Watched != nil {
		g.Watched = *c.Watched
	}
}

// Delete deletes a segment, unless others use it: then it is a *pg.Conflict that names
// them. Workers take customers off a static one, see tags.Clear.
func (s *Segments) Delete(ctx context.Context, storeID, id string) (err error) {
	defer pg.Wrap(&err, "segments.Delete(%q, %q)", storeID, id)
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return pg.ErrNotFound
	}
	if made := ready(id); made != nil {
		return made.readyStays()
	}
	return s.alone(ctx, storeID, func(tx pgx.Tx, _ []Segment) error {
		if err := s.members.Unused(ctx, storeID, "segment", id); err != nil {
			return err
		}
		var kind string
		err := tx.QueryRow(ctx, `
			WITH gone AS (
				DELETE FROM segments WHERE store_id = $1 AND id = $2 RETURNING id, kind
			),
			cleared AS (
				INSERT INTO deleted_tags SELECT id FROM gone WHERE kind = 'static'
			)
			SELECT kind FROM gone`, storeID, id).Scan(&kind)
		return pg.NotFound(err)
	})
}

// alone runs do with a store's segments, which no other transaction changes meanwhile:
// segments name each other.
func (s *Segments) alone(ctx context.Context, storeID string, do func(pgx.Tx, []Segment) error) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('segments of ' || $1, 0))`,
			storeID); err != nil {
			return err
		}
		all, err := list(ctx, tx, storeID)
		if err != nil {
			return err
		}
		return do(tx, all)
	})
}

// free refuses the name of a segment that every store has.
func free(ctx context.Context, db pg.Querier, name string) error {
	var names []string
	for _, made := range customers.ReadySegments {
		names = append(names, made.Name)
	}
	_, err := pg.One(ctx, db, pgx.RowTo[int], `SELECT 1 FROM unnest($1::text[]) ready WHERE `+tags.Folded("ready")+` = `+
		tags.Folded("$2"), names, name)
	switch {
	case err == nil:
		return refuseTaken(name)
	case errors.Is(err, pg.ErrNotFound):
		return nil
	}
	return err
}

// taken explains that the store has a segment of this name.
func taken(err error, name string) error {
	if pg.UniqueViolation(err) {
		return refuseTaken(name)
	}
	return err
}

func refuseTaken(name string) error {
	return pg.Refuse("name",
		"%q is taken: the store has a segment that is called so, but perhaps for case, accents or spaces", name)
}

// Include puts a customer into a static segment; it does nothing if they are in it.
// ErrNotFound also for a customer or a segment of another store, and a dynamic one.
func (s *Segments) Include(ctx context.Context, storeID, customer, id, author string) (err error) {
	return s.members.Put(ctx, storeID, customer, id, author)
}

// Exclude takes a customer out of a static segment. Errors are as in Include.
func (s *Segments) Exclude(ctx context.Context, storeID, customer, id string) (err error) {
	return s.members.Take(ctx, storeID, customer, id)
}
