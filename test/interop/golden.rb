# Writes jobs and keys by the code of the running Sidekiq and ActiveJob. It runs in
# test/kit/harness/driver.rb. The clock and the random numbers are fixed, so that each run writes
# the same bytes.
require "active_support"
require "active_job"
require "sidekiq/capsule"
require "sidekiq/job_retry"
require "sidekiq/metrics/tracking"
require "sidekiq/middleware/current_attributes"

MAJOR = Sidekiq::VERSION.to_i
ActiveJob::Base.logger = Logger.new(nil)
ActiveJob::Base.queue_adapter = :sidekiq
GlobalID.app = "app"
Account = Struct.new(:id) { include GlobalID::Identification }

class Current < ActiveSupport::CurrentAttributes
  attribute :user_id, :tenant
end

# An ActiveJob with the name of a test job.
class Wrapped < ActiveJob::Base
  def self.name = "Test::Record"
  def self.to_s = name
end

class Iterated
  include Sidekiq::IterableJob
end

NOW = Time.at(1_795_345_726, 974_476)
def Time.now(**) = NOW
def SecureRandom.hex(*) = $jid
def SecureRandom.uuid = "0d1f9c3e-6f3a-4c0e-8d55-3f1f1f0a7c11"

# The clock of the metrics is $ms. Time-outs of Redis need the real clock of the floats.
class << Process
  alias real_clock clock_gettime
  def clock_gettime(id, unit = :float_second)
    return real_clock(id, unit) unless unit == :millisecond
    id == Process::CLOCK_REALTIME ? (NOW.to_r * 1000).to_i : $ms
  end
end

# Pushes a job by the block, with a fixed jid, and returns its bytes.
def pushed(number)
  $jid = format("%da%022x", MAJOR, number)
  Sidekiq.redis { |c| c.call("FLUSHDB") }
  yield
  redis("LINDEX", "queue:default", 0) || redis("ZRANGE", "schedule", 0, -1).first ||
    redis("ZRANGE", "retry", 0, -1).first
end

def low_level(number, **item)
  pushed(number) { Sidekiq::Client.push({ "args" => [] }.merge(item.transform_keys(&:to_s))) }
end

# Pushes the job and fails it, with a fixed backtrace, by the code that Ruby's worker uses.
def failed(number, error, lines)
  raw = pushed(number) { yield }
  redis("DEL", "queue:default")
  retrier = Sidekiq::JobRetry.new(Sidekiq.default_configuration.default_capsule)
  begin
    retrier.local(Test::Fail.new, raw, "default") do
      raise ArgumentError, error, lines
    end
  rescue Sidekiq::JobRetry::Handled
  end
  redis("ZRANGE", "retry", 0, -1).first
end

# The jobs by the names of their files.
def jobs = MAJOR < 8 ? common_jobs : common_jobs.merge(jobs_of_8)

def common_jobs
  record, failing = "Test::Record", "Test::Fail"
  {
    record: pushed(1) { Test::Record.perform_async(1, 2.5, "é<b>&", nil, { "k" => [true] }) },
    big: pushed(2) { Test::Record.perform_async(12345678901234567890123, 9007199254740993) },
    fail: pushed(3) {
      Test::Fail.set("backtrace" => true, "tags" => ["t1"]).perform_async("boom <é>")
    },
    plainfail: pushed(4) { Test::Fail.perform_async("boom") },
    zero: pushed(5) { Test::Zero.perform_async("boom") },
    noretry: pushed(6) { Test::NoRetry.perform_async("boom") },
    retryqueue: pushed(7) { Test::Fail.set("retry_queue" => "low").perform_async("boom") },
    missing: low_level(8, class: "Missing::Klass"),
    vendor: low_level(9, class: failing, args: ["boom"],
      foo: { "a" => 1.0, "b" => 12345678901234567890 }),
    loglevel: low_level(10, class: record, log_level: "debug", tags: %w[a b]),
    batch: low_level(11, class: record, args: [1], bid: "gqkIHVDUd7bhIg"),
    encrypted: low_level(12, class: record, args: ["BAhJIg=="], encrypt: true),
    profiled: low_level(13, class: record, args: [1], profile: "tok1"),
    count: low_level(14, class: failing, args: ["boom"], retry: 3, retry_count: 2,
      failed_at: 1795345730.5),
    activejob: pushed(15) { Wrapped.perform_later(1, Account.new(7), { a: 1 }) },
    cattr: pushed(16) {
      Sidekiq::CurrentAttributes.persist("Current")
      Current.set(user_id: 1, tenant: "é") { Test::Record.perform_async }
      Current.reset
    },
    scheduled: pushed(17) { Test::Record.perform_in(3600, 1) },
    slow: pushed(18) { Test::Slow.perform_async(60_000) },
    retried: failed(19, "boom <é>", ["app/jobs/boom.rb:3:in `perform'", "lib/x.rb:1:in `é'"]) {
      Test::Fail.set("backtrace" => true).perform_async("boom")
    }
  }
end

def jobs_of_8
  failing = "Test::Fail"
  {
    retryfor60: low_level(20, class: failing, args: ["boom"], retry_for: 60, retry_count: 5,
      failed_at: 1795345726974),
    retryfor600: low_level(21, class: failing, args: ["boom"], retry_for: 600, retry_count: 5,
      failed_at: 1795345726974)
  }
end

# Counts two minutes of runs.
def metrics
  tracker = Sidekiq::Metrics::ExecutionTracker.new(Sidekiq.default_configuration)
  run = lambda do |klass, ms, error = nil|
    $ms = 0
    tracker.track("default", klass) do
      $ms = ms
      raise error if error
    end
  rescue RuntimeError
  end
  [10, 12, 14, 25, 27].each { |ms| run.("OkJob", ms) }
  2.times { run.("FailJob", 5, "boom") }
  tracker.flush(Time.utc(2026, 11, 22, 11, 8, 30))
  run.("OkJob", 40)
  tracker.flush(Time.utc(2026, 11, 22, 11, 9, 30))
end

# Writes the state of an iterable job. 7.3.2 cannot cancel one: the field is what later versions
# write.
def iteration(jid, state, cancelled: false)
  job = Iterated.new
  job.jid = jid
  state.each { |name, value| job.instance_variable_set("@_#{name}", value) }
  job.send(:flush_state) unless state.empty?
  return unless cancelled
  return job.cancel! if job.respond_to?(:cancel!)
  redis("HSET", "it-#{jid}", "cancelled", NOW.to_i)
  redis("EXPIRE", "it-#{jid}", 2592000)
end
