// The local file system of Hadoop, with one fault planted in it: the crash tests compile this file with the Scala compiler that
// PySpark carries, and a driver process loads it in place of the usual one.
package headrace.crash

import java.io.IOException
import java.net.URI

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{DelegateToFileSystem, FSDataOutputStream, LocalFileSystem, Path, RawLocalFileSystem}
import org.apache.hadoop.fs.permission.FsPermission
import org.apache.hadoop.util.Progressable

/** What is to happen, and where: at the nth time that an operation reaches a path. */
object Fault {
  private var operation = ""
  private var path = "".r
  private var left = 0
  private var action = ""
  @volatile private var happened = false

  def arm(operation: String, path: String, nth: Int, action: String): Unit = synchronized {
    this.operation = operation; this.path = path.r; this.left = nth; this.action = action; this.happened = false
  }

  def disarm(): Unit = arm("", "", 0, "")

  def fired: Boolean = happened

  def at(operation: String, file: Path): Unit = synchronized {
    if (left > 0 && operation == this.operation && path.findFirstIn(file.toUri.getPath).isDefined) {
      left -= 1
      if (left == 0) { happened = true; strike(file) }
    }
  }

  private def strike(file: Path): Unit = action match {
    case "exception" => throw new IOException("a fault planted by a crash test")
    case "full" => throw new IOException("No space left on device")
    case "exit" => Runtime.getRuntime.halt(9)
    case "kill" =>
      ProcessHandle.current().parent().ifPresent(driver => driver.destroyForcibly())
      Runtime.getRuntime.halt(137)
    case "kill worker" =>
      ProcessHandle.current().descendants().forEach(child => child.destroyForcibly())
  }
}

class FaultRawFileSystem extends RawLocalFileSystem {
  override def create(
      file: Path, permission: FsPermission, overwrite: Boolean, buffer: Int, replication: Short, block: Long,
      progress: Progressable): FSDataOutputStream = {
    Fault.at("create", file)
    closing(super.create(file, permission, overwrite, buffer, replication, block, progress), file)
  }

  override def create(
      file: Path, overwrite: Boolean, buffer: Int, replication: Short, block: Long,
      progress: Progressable): FSDataOutputStream = {
    Fault.at("create", file)
    closing(super.create(file, overwrite, buffer, replication, block, progress), file)
  }

  override def rename(from: Path, to: Path): Boolean = {
    Fault.at("rename", to)
    val done = super.rename(from, to)
    Fault.at("renamed", to)
    done
  }

  private def closing(stream: FSDataOutputStream, file: Path): FSDataOutputStream =
    new FSDataOutputStream(stream, null) {
      private var open = true
      override def close(): Unit = {
        super.close()
        if (open) { open = false; Fault.at("closed", file) }
      }
    }
}

class FaultFileSystem extends LocalFileSystem(new FaultRawFileSystem)

class FaultFileContext(uri: URI, settings: Configuration)
    extends DelegateToFileSystem(uri, new FaultFileSystem, settings, "file", false) {
  override def getUriDefaultPort: Int = -1
}
