# The Test:: jobs for Ruby's Sidekiq have the same names as in test/kit/testjobs. Each run
# writes a line to the file TEST_RECORD.
require "json"
require "sidekiq"
require "sidekiq/api"

Redis.silence_deprecations = true if defined?(Redis)

# Up to 6.4 the settings are in a hash of their own.
SETTINGS =
  Sidekiq.respond_to?(:default_configuration) ? Sidekiq.default_configuration : Sidekiq.options

# Server middleware that keeps the hash of the job for the record.
class Record
  def self.line(event, jid, args, job)
    types = args.map { |a| a.class.name }
    text = JSON.generate({ by: "ruby", event: event, jid: jid, args: args, types: types,
      attrs: job && job["cattr"], job: job })
    File.open(ENV.fetch("TEST_RECORD"), "a") { |f| f.syswrite(text + "\n") }
  end

  def call(_worker, job, _queue)
    Thread.current[:job] = job
    yield
  end
end

Sidekiq.configure_server do |c|
  c.redis = { url: ENV.fetch("REDIS_URL") }
  SETTINGS[:poll_interval_average] = 1
  c.on(:startup) { $stdout.write("the jobs are loaded\n"); $stdout.flush }
  c.death_handlers << ->(job, _) { Record.line("death", job["jid"], job["args"], job) }
  c.server_middleware { |chain| chain.add(Record) }
end

module Test
  class Base
    include Sidekiq::Job

    def line(event, args) = ::Record.line(event, jid, args, Thread.current[:job])
  end

  class NoOp < Base
    def perform(*) = nil
  end

  class Record < Base
    def perform(*args) = line("run", args)
  end

  class RubyOnly < Record # Go has no handler for it
  end

  class Slow < Base
    def perform(ms)
      line("run", [ms])
      sleep(ms / 1000.0)
      line("end", [ms])
    end
  end

  class Fail < Base
    def perform(text)
      line("run", [text])
      raise ArgumentError, text
    end
  end

  class NoRetry < Fail
    sidekiq_options retry: false
  end

  class Zero < Fail
    sidekiq_options retry: 0
  end

  # Fails the first `times` times that the id runs, in any worker. A file per id counts the runs.
  class Flaky < Base
    def perform(path, id, times)
      File.open(path, "a") { |f| f.syswrite("start #{id}\n") }
      runs = File.open("#{path}.#{id}", "a") { |f| f.syswrite("."); f.size }
      raise "not yet" if runs <= times
      File.open(path, "a") { |f| f.syswrite("end #{id}\n") }
    end
  end

  if defined?(Sidekiq::IterableJob) # from 7.3 on
    class Iter
      include Sidekiq::IterableJob

      def build_enumerator(steps, _ms, cursor:) = array_enumerator([*1..steps], cursor: cursor)
      def each_iteration(_step, _steps, ms) = sleep(ms / 1000.0)
      def on_cancel = ::Record.line("cancel", jid, [], nil)
      def on_complete = ::Record.line("complete", jid, [], nil)
    end
  end

  class Ledger < Base
    def perform(path, id, ms)
      File.open(path, "a") { |f| f.syswrite("start #{id}\n") }
      sleep(ms / 1000.0)
      File.open(path, "a") { |f| f.syswrite("end #{id}\n") }
    end
  end
end
