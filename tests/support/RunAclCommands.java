import java.io.BufferedReader;
import java.io.InputStreamReader;

/** Runs Kafka's AclCommand for each line of the input: arguments, separated by U+001F. */
public class RunAclCommands {
    public static void main(String[] none) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println("# " + line.replace('\u001f', ' '));
            org.apache.kafka.tools.AclCommand.main(line.split("\u001f"));
        }
    }
}
