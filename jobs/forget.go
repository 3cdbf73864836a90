package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hibiken/asynq"
)

// forgetPage is the page size of a listing.
const forgetPage = 1000

// Forget deletes the jobs whose last error contains one of names (in lower case), and returns their
// number. No work is lost: the rows hold what is pending, and the sweep enqueues it again. A job's
// payload holds only ids of rows.
func Forget(opt asynq.RedisConnOpt, names []string) (deleted int, err error) {
	i := asynq.NewInspector(opt)
	defer i.Close()
	queues, err := i.Queues()
	if err != nil {
		return 0, fmt.Errorf("jobs.Forget: %w", err)
	}
	for _, queue := range queues {
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			i.ListPendingTasks, i.ListScheduledTasks, i.ListRetryTasks, i.ListArchivedTasks,
		} {
			ids, err := mentioning(queue, list, names)
			if err != nil {
				return deleted, fmt.Errorf("jobs.Forget: %w", err)
			}
			for _, id := range ids {
				if err := i.DeleteTask(queue, id); err == nil {
					deleted++
				} else if !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
					return deleted, fmt.Errorf("jobs.Forget: job %s: %w", id, err)
				}
			}
		}
	}
	return deleted, nil
}

// mentioning lists the ids of jobs whose last error contains one of names.
func mentioning(
	queue string, list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error), names []string,
) (ids []string, err error) {
	for page := 1; ; page++ {
		tasks, err := list(queue, asynq.Page(page), asynq.PageSize(forgetPage))
		if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
			return nil, err
		}
		for _, t := range tasks {
			text := strings.ToLower(t.LastErr)
			if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(text, name) }) {
				ids = append(ids, t.ID)
			}
		}
		if len(tasks) < forgetPage {
			return ids, nil
		}
	}
}
