package creators

import (
	"errors"
	"net/http"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
	"rollcall/web/core"
)

// tagsPage is the data of tags.html.
type tagsPage struct {
	core.Shell
	Store   customers.StoreInfo
	Tags    []tags.Tag
	Names   map[string]string // of people who made them, by Clerk id
	ListURL string
	URL     string
	Wrong   string // why a change was refused
	Editing string // the tag whose change that was
}

// Tags shows a store's tags, to rename, merge and delete them.
func (s *Pages) Tags(w http.ResponseWriter, r *http.Request) error {
	return s.showTags(w, r, nil)
}

// showTags shows the page; refused is why a change was refused, or nil.
func (s *Pages) showTags(w http.ResponseWriter, r *http.Request, refused error) (err error) {
	page := tagsPage{ListURL: pathOf(r, "customers"), URL: pathOf(r, "tags")}
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	if page.Store, err = customers.New(s.Cfg.Store).Store(r.Context(), r.PathValue("store")); err != nil {
		return err
	}
	if page.Tags, err = tags.New(s.Cfg.Store).List(r.Context(), r.PathValue("store")); err != nil {
		return err
	}
	var authors []string
	for _, t := range page.Tags {
		authors = append(authors, t.CreatedBy)
	}
	if page.Names, err = customers.New(s.Cfg.Store).Names(r.Context(), authors); err != nil {
		return err
	}
	status := http.StatusOK
	if refused != nil {
		why := core.Explain(refused)
		page.Wrong, page.Editing, status = why.Message, r.PathValue("tag"), why.Status
		if wrong, is := errors.AsType[*pg.BadParam](refused); is {
			page.Wrong = tagFields[wrong.Name] + " " + wrong.Reason + "."
		}
	}
	return s.Page(w, status, "tags.html", page)
}

// tagFields are what the fields of the forms are called.
var tagFields = map[string]string{"name": "The name", "into": "The tag to merge into"}

// TagRenamed handles the form that renames a tag.
func (s *Pages) TagRenamed(w http.ResponseWriter, r *http.Request) error {
	return s.changeTag(w, r, func(t *tags.Tags) error {
		return t.Rename(r.Context(), r.PathValue("store"), r.PathValue("tag"), r.PostForm.Get("name"))
	})
}

// TagMerged handles the form that merges a tag into another.
func (s *Pages) TagMerged(w http.ResponseWriter, r *http.Request) error {
	return s.changeTag(w, r, func(t *tags.Tags) error {
		return t.Merge(r.Context(), r.PathValue("store"), r.PathValue("tag"), r.PostForm.Get("into"))
	})
}

// TagDeleted handles the button that deletes a tag.
func (s *Pages) TagDeleted(w http.ResponseWriter, r *http.Request) error {
	return s.changeTag(w, r, func(t *tags.Tags) error {
		return gone(t.Delete(r.Context(), r.PathValue("store"), r.PathValue("tag")))
	})
}

// changeTag reads the form, makes the change, and goes back to the page.
func (s *Pages) changeTag(w http.ResponseWriter, r *http.Request, change func(*tags.Tags) error) error {
	return changed(w, r, pathOf(r, "tags"),
		func() error { return change(tags.New(s.Cfg.Store)) }, s.showTags)
}

// changed reads a form, makes its change, and goes back to the page; or it shows the page
// with why the change was refused.
func changed(w http.ResponseWriter, r *http.Request, back string, change func() error,
	show func(http.ResponseWriter, *http.Request, error) error) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	err := change()
	switch {
	case isRefused(err):
		return show(w, r, err)
	case err != nil:
		return err
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// gone is the error of a removal, which is none if it was done before: a button may be pressed twice.
func gone(err error) error {
	if errors.Is(err, pg.ErrNotFound) {
		return nil
	}
	return err
}

// isRefused tells whether an error says what of a form is not valid, or does not fit what is stored.
func isRefused(err error) bool {
	return errors.As(err, new(*pg.BadParam)) || errors.As(err, new(*pg.Conflict))
}

// TagForm gives a customer the tag called so, and makes it if the store has none.
func (s *Pages) TagForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	storeID, name, author := r.PathValue("store"), r.PostForm.Get("name"), core.Admitted(r).Name()
	t := tags.New(s.Cfg.Store)
	id, err := t.Ensure(r.Context(), storeID, name, author)
	if err == nil {
		err = t.Put(r.Context(), storeID, r.PathValue("id"), id, author)
	}
	if wrong, is := errors.AsType[*pg.BadParam](err); is {
		page := s.newCustomerPage(r)
		page.TagDraft, page.TagWrong = name, "The name "+wrong.Reason+"."
		return s.showCustomerPage(w, r, customers.TimelineFilter{Limit: pageEntries}, page)
	}
	return s.backTo(w, r, "#tags", err)
}

// TagRemoved handles the button that takes a tag off a customer.
func (s *Pages) TagRemoved(w http.ResponseWriter, r *http.Request) error {
	err := tags.New(s.Cfg.Store).Take(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("tag"))
	return s.backTo(w, r, "#tags", gone(err))
}

// readForm reads the form of a page.
func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, core.MaxBody)
	if r.ParseForm() != nil {
		return core.ErrForm
	}
	return nil
}
