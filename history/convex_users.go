package history

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"rollcall/facts"
)

// Most apps refer to users by Clerk's id. If an app refers to them by _id, the users table is read
// once more, before the first row with such a reference. Its ids stay in memory, about 200 bytes
// per user. After an interruption it is read again.

// maxUsers limits the users in memory: about 400 MB.
const maxUsers = 2_000_000

// knownUsers are the documents of the users table, by _id.
type knownUsers map[string]facts.ConvexPerson

// person finds a user for the reader. Errors end the page: see trouble.
func (c *Convex) person(ctx context.Context, id string) (facts.ConvexPerson, bool) {
	if c.people == nil && c.trouble == nil {
		c.people, c.trouble = c.readPeople(ctx)
	}
	p, ok := c.people[id]
	return p, ok
}

// readPeople reads the ids of the users table. Damage is reported when the table itself is read.
func (c *Convex) readPeople(ctx context.Context) (knownUsers, error) {
	known := knownUsers{}
	if c.export.tables["users"] == nil {
		return known, nil
	}
	packed, err := c.export.open("users")
	if err != nil {
		return known, onlyOfDisk(err)
	}
	l := newLines(packed)
	defer l.close()
	for len(known) <= maxUsers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, err := l.next()
		if errors.Is(err, errLongLine) {
			continue
		}
		if errors.Is(err, io.EOF) {
			return known, nil
		}
		if err != nil {
			return known, onlyOfDisk(err)
		}
		if row, err := c.reader.Read("users", line); err == nil && row.Person != nil {
			known[row.Person.ID] = *row.Person
		}
	}
	return nil, refused("%s names users by the _id of their documents, and has more than %d: put Clerk's ids into the "+
		"tables that name users, and export again", c.path, maxUsers)
}

// onlyOfDisk returns the error if the disk caused it, as a retry may then succeed.
func onlyOfDisk(err error) error {
	if errors.As(err, new(*fs.PathError)) {
		return err
	}
	return nil
}
