package migrations

import (
	"fmt"
	"strings"
)

// Foreign is the error of a database with tables of another program under names that Rollcall
// needs, or with another program's list of migrations.
type Foreign struct{ Tables []string }

func (e *Foreign) Error() string {
	return fmt.Sprintf("this database belongs to another program: Rollcall did not make %s. Nothing was changed. "+
		"Give Rollcall a database of its own (CREATE DATABASE rollcall, and name it in DATABASE_URL), "+
		"or a schema of its own (CREATE SCHEMA rollcall, and add options=-csearch_path%%3Drollcall,public to DATABASE_URL)",
		strings.Join(e.Tables, ", "))
}

// Taken is the error of Rollcall's own database with objects that no migration made, under names that later
// migrations need: an index made by hand before an upgrade, or a table of another program.
type Taken struct{ Objects []Object }

func (e *Taken) Error() string {
	var names []string
	for _, o := range e.Objects {
		names = append(names, o.String())
	}
	return fmt.Sprintf("this database has what Rollcall did not make under names that its next migrations need: %s. "+
		"Nothing was changed. What is needed as it is can be renamed (%s). What was made by hand for Rollcall, "+
		"such as an index, can be dropped (DROP …): the migration makes its own. Then run this again",
		strings.Join(names, "; "), e.Objects[0].Rename())
}

// Object is a table, an index or the like.
type Object struct {
	Kind, Name string
	Of         string // the table of an index
	Migration  string // of Rollcall, that makes one of this name
}

func (o Object) String() string {
	of := ""
	if o.Of != "" {
		of = " of the table " + o.Of
	}
	return fmt.Sprintf("the %s %s%s (%s makes one of this name)", o.Kind, o.Name, of, o.Migration)
}

// Rename is the statement that keeps it under another name.
func (o Object) Rename() string {
	return fmt.Sprintf("ALTER %s %s RENAME TO %s_before", strings.ToUpper(o.Kind), o.Name, o.Name)
}

// kinds are the words of Postgres for the kinds of its objects.
var kinds = map[string]string{
	"r": "table", "p": "table", "v": "view", "m": "materialized view", "i": "index", "I": "index", "S": "sequence",
	"f": "foreign table", "c": "type",
}

// objects by their name.
type objects map[string]Object

func (o objects) has(name string) bool {
	_, ok := o[name]
	return ok
}

// refused is the error of a database with objects that are not Rollcall's. With ours it has a list of migrations
// under our own name: it does not belong to another program.
func refused(taken []Object, ours bool, foreign []string) error {
	if ours && len(taken) > 0 {
		return &Taken{taken}
	}
	var names []string
	for _, o := range taken {
		names = append(names, o.Name)
	}
	if names = append(names, foreign...); len(names) > 0 {
		return &Foreign{names}
	}
	return nil
}
